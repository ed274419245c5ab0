/* Reads a fragment: the graph that a plug-in is asked about or compiles. Header only, C99 and C++.
 *
 * A fragment is a `.naru` container: a header of 64 bytes, the graph as a FlatBuffer, and a data section
 * with the constants in place, each on a multiple of 64. The host has verified it; this reader checks
 * every offset all the same, so that damaged bytes read as absent values, never out of bounds.
 *
 *   naru_fragment_reader graph;
 *   if (!naru_fragment_open(&graph, fragment->data, fragment->size_bytes)) ...
 *   for (uint32_t i = 0; i < naru_node_count(&graph); ++i) {
 *     naru_node node = naru_node_at(&graph, i);
 *     if (strcmp(node.op, "Relu") == 0) { naru_value x = naru_value_at(&graph, naru_node_input(&node, 0)); ... }
 *   }
 *
 * Operators have ONNX's names and newest meaning; "com.microsoft.Gelu" shows a domain. Views point into the
 * bytes and live as long as they do. Little-endian hosts only. */
#ifndef NARU_FRAGMENT_H
#define NARU_FRAGMENT_H

#include <stdint.h>
#include <string.h>

#define NARU_MAX_RANK 16
#define NARU_NO_VALUE (-1)

typedef struct naru_fragment_reader {
  const uint8_t* metadata;
  uint64_t metadata_bytes;
  const uint8_t* data; /* constants */
  uint64_t data_bytes;
  uint32_t model, graph; /* tables */
} naru_fragment_reader;

/* An operation. `op` and `name` are never NULL. */
typedef struct naru_node {
  const naru_fragment_reader* reader;
  uint32_t table; /* 0: there is none */
  const char* op;
  const char* name;
  uint32_t input_count, output_count;
} naru_node;

/* A value: its type, and its bytes when it is a constant. */
typedef struct naru_value {
  const char* name;
  int32_t dtype;  /* 0: unknown, or no tensor */
  int32_t rank;   /* -1: unknown, or above NARU_MAX_RANK */
  int32_t static_shape; /* 1: every dimension is known */
  int64_t dims[NARU_MAX_RANK];
  int32_t constant; /* 1: part of the model */
  const void* data; /* of a constant; NULL otherwise, for strings, and in support() above 4096 bytes */
  uint64_t size_bytes;
  uint64_t hash[2]; /* XXH3-128 of a constant's bytes, low half first: equal bytes, packed once */
} naru_value;

/* ---- FlatBuffers, as far as is needed ------------------------------------------------------------ */

static inline int naru_fb_inside(const naru_fragment_reader* r, uint64_t at, uint64_t size) {
  return at <= r->metadata_bytes && size <= r->metadata_bytes - at;
}
static inline uint64_t naru_fb_number(const naru_fragment_reader* r, uint64_t at, uint32_t size) {
  uint64_t value = 0;
  if (naru_fb_inside(r, at, size)) memcpy(&value, r->metadata + at, size);
  return value;
}
/* Where field `index` of a table stands; 0 when it is absent. */
static inline uint64_t naru_fb_field(const naru_fragment_reader* r, uint32_t table, uint32_t index) {
  uint64_t vtable, length, offset;
  if (table == 0 || !naru_fb_inside(r, table, 4)) return 0;
  vtable = (uint64_t)((int64_t)table - (int64_t)(int32_t)naru_fb_number(r, table, 4));
  if (!naru_fb_inside(r, vtable, 4)) return 0;
  length = naru_fb_number(r, vtable, 2);
  if (4u + 2u * index + 2u > length) return 0;
  offset = naru_fb_number(r, vtable + 4 + 2 * (uint64_t)index, 2);
  return offset == 0 ? 0 : table + offset;
}
static inline uint64_t naru_fb_scalar(const naru_fragment_reader* r, uint32_t table, uint32_t index, uint32_t size,
                                      uint64_t absent) {
  uint64_t at = naru_fb_field(r, table, index);
  return at == 0 ? absent : naru_fb_number(r, at, size);
}
/* What an offset field points to: a table, string or vector; 0 when absent. */
static inline uint32_t naru_fb_target(const naru_fragment_reader* r, uint32_t table, uint32_t index) {
  uint64_t at = naru_fb_field(r, table, index), target;
  if (at == 0 || !naru_fb_inside(r, at, 4)) return 0;
  target = at + naru_fb_number(r, at, 4);
  return naru_fb_inside(r, target, 4) ? (uint32_t)target : 0;
}
/* Elements of a vector whose elements take `size` bytes; 0 when they are not all inside. */
static inline uint32_t naru_fb_count(const naru_fragment_reader* r, uint32_t vector, uint32_t size) {
  uint64_t count = vector == 0 ? 0 : naru_fb_number(r, vector, 4);
  return naru_fb_inside(r, (uint64_t)vector + 4, count * size) ? (uint32_t)count : 0;
}
static inline uint64_t naru_fb_element(const naru_fragment_reader* r, uint32_t vector, uint32_t index, uint32_t size) {
  return index < naru_fb_count(r, vector, size) ? naru_fb_number(r, (uint64_t)vector + 4 + (uint64_t)index * size, size)
                                                : 0;
}
static inline uint32_t naru_fb_table_at(const naru_fragment_reader* r, uint32_t vector, uint32_t index) {
  uint64_t at = (uint64_t)vector + 4 + (uint64_t)index * 4, target;
  if (index >= naru_fb_count(r, vector, 4)) return 0;
  target = at + naru_fb_number(r, at, 4);
  return naru_fb_inside(r, target, 4) ? (uint32_t)target : 0;
}
/* A NUL-terminated text; "" when absent or damaged. */
static inline const char* naru_fb_text(const naru_fragment_reader* r, uint32_t table, uint32_t index) {
  uint32_t at = naru_fb_target(r, table, index);
  uint64_t length = at == 0 ? 0 : naru_fb_number(r, at, 4);
  if (at == 0 || !naru_fb_inside(r, (uint64_t)at + 4, length + 1) || r->metadata[at + 4 + length] != 0) return "";
  return (const char*)(r->metadata + at + 4);
}

/* ---- the fragment -------------------------------------------------------------------------------- */

/* 1 when the bytes are a fragment that this reader knows. */
static inline int naru_fragment_open(naru_fragment_reader* reader, const void* bytes, uint64_t size_bytes) {
  const uint8_t* file = (const uint8_t*)bytes;
  uint64_t place[4]; /* metadata offset and size, data offset and size */
  uint16_t major;
  memset(reader, 0, sizeof *reader);
  if (size_bytes < 64 || memcmp(file, "NARU", 4) != 0) return 0;
  memcpy(&major, file + 4, sizeof major);
  memcpy(place, file + 16, sizeof place);
  if (major != 1 || place[0] > size_bytes || place[1] > size_bytes - place[0] || place[2] > size_bytes ||
      place[3] > size_bytes - place[2] || place[1] > 0x7fffffffu) {
    return 0;
  }
  reader->metadata = file + place[0];
  reader->metadata_bytes = place[1];
  reader->data = file + place[2];
  reader->data_bytes = place[3];
  reader->model = (uint32_t)naru_fb_number(reader, 0, 4);
  reader->graph = naru_fb_target(reader, reader->model, 3);
  return reader->graph != 0;
}

static inline uint32_t naru_node_count(const naru_fragment_reader* r) {
  return naru_fb_count(r, naru_fb_target(r, r->graph, 4), 4);
}
static inline uint32_t naru_value_count(const naru_fragment_reader* r) {
  return naru_fb_count(r, naru_fb_target(r, r->graph, 3), 4);
}
static inline uint32_t naru_input_count(const naru_fragment_reader* r) {
  return naru_fb_count(r, naru_fb_target(r, r->graph, 5), 4);
}
static inline uint32_t naru_output_count(const naru_fragment_reader* r) {
  return naru_fb_count(r, naru_fb_target(r, r->graph, 6), 4);
}
/* The value ids of the ends, in the order of the bindings. */
static inline int32_t naru_input_id(const naru_fragment_reader* r, uint32_t i) {
  return (int32_t)naru_fb_element(r, naru_fb_target(r, r->graph, 5), i, 4);
}
static inline int32_t naru_output_id(const naru_fragment_reader* r, uint32_t i) {
  return (int32_t)naru_fb_element(r, naru_fb_target(r, r->graph, 6), i, 4);
}

static inline naru_node naru_node_at(const naru_fragment_reader* r, uint32_t index) {
  naru_node node;
  uint32_t operators = naru_fb_target(r, r->model, 1);
  node.reader = r;
  node.table = naru_fb_table_at(r, naru_fb_target(r, r->graph, 4), index);
  node.op = "";
  if (node.table != 0) {
    node.op = naru_fb_text(r, naru_fb_table_at(r, operators, (uint32_t)naru_fb_scalar(r, node.table, 0, 4, 0)), 0);
  }
  node.name = naru_fb_text(r, node.table, 1);
  node.input_count = naru_fb_count(r, naru_fb_target(r, node.table, 2), 4);
  node.output_count = naru_fb_count(r, naru_fb_target(r, node.table, 3), 4);
  return node;
}
/* A value id, or NARU_NO_VALUE for an optional one that is absent. */
static inline int32_t naru_node_input(const naru_node* node, uint32_t i) {
  if (i >= node->input_count) return NARU_NO_VALUE;
  return (int32_t)naru_fb_element(node->reader, naru_fb_target(node->reader, node->table, 2), i, 4);
}
static inline int32_t naru_node_output(const naru_node* node, uint32_t i) {
  if (i >= node->output_count) return NARU_NO_VALUE;
  return (int32_t)naru_fb_element(node->reader, naru_fb_target(node->reader, node->table, 3), i, 4);
}

static inline void naru_value_shape(const naru_fragment_reader* r, uint32_t dims, uint32_t expressions,
                                    naru_value* value) {
  uint32_t rank = naru_fb_count(r, dims, 8), i;
  if (rank > NARU_MAX_RANK) return;
  value->rank = (int32_t)rank;
  value->static_shape = 1;
  for (i = 0; i < rank; ++i) {
    value->dims[i] = (int64_t)naru_fb_element(r, dims, i, 8);
    if (expressions != 0 && (int32_t)naru_fb_element(r, expressions, i, 4) >= 0) value->static_shape = 0;
  }
}

/* The tensor in table `t` of type TensorData. */
static inline void naru_value_constant(const naru_fragment_reader* r, uint32_t t, naru_value* value) {
  uint64_t offset = naru_fb_scalar(r, t, 2, 8, 0), size = naru_fb_scalar(r, t, 3, 8, 0);
  value->constant = 1;
  value->dtype = (int32_t)naru_fb_scalar(r, t, 0, 1, 0);
  naru_value_shape(r, naru_fb_target(r, t, 1), 0, value);
  if (naru_fb_target(r, t, 6) != 0 || size == 0 || offset > r->data_bytes || size > r->data_bytes - offset) return;
  value->data = r->data + offset;
  value->size_bytes = size;
  value->hash[0] = naru_fb_scalar(r, t, 4, 8, 0);
  value->hash[1] = naru_fb_scalar(r, t, 5, 8, 0);
}

static inline naru_value naru_value_at(const naru_fragment_reader* r, int32_t id) {
  naru_value value;
  uint32_t table, type, constant;
  memset(&value, 0, sizeof value);
  value.rank = -1;
  table = id < 0 ? 0 : naru_fb_table_at(r, naru_fb_target(r, r->graph, 3), (uint32_t)id);
  value.name = naru_fb_text(r, table, 0);
  constant = naru_fb_target(r, table, 2);
  type = naru_fb_target(r, table, 1);
  if (constant != 0) {
    naru_value_constant(r, constant, &value);
  } else if (type != 0 && naru_fb_scalar(r, type, 0, 1, 0) == 1) {
    value.dtype = (int32_t)naru_fb_scalar(r, type, 1, 1, 0);
    if (naru_fb_scalar(r, type, 2, 1, 0) != 0) {
      naru_value_shape(r, naru_fb_target(r, type, 3), naru_fb_target(r, type, 4), &value);
    }
  }
  return value;
}

/* ---- attributes: every one that the operator has is there, unless it has no default ----------------- */

static inline uint32_t naru_attribute(const naru_node* node, const char* name) {
  uint32_t list = naru_fb_target(node->reader, node->table, 5), i;
  for (i = 0; i < naru_fb_count(node->reader, list, 4); ++i) {
    uint32_t attribute = naru_fb_table_at(node->reader, list, i);
    if (strcmp(naru_fb_text(node->reader, attribute, 0), name) == 0) return attribute;
  }
  return 0;
}
static inline int64_t naru_attribute_int(const naru_node* node, const char* name, int64_t absent) {
  uint32_t attribute = naru_attribute(node, name);
  return attribute == 0 ? absent : (int64_t)naru_fb_scalar(node->reader, attribute, 2, 8, 0);
}
static inline float naru_attribute_float(const naru_node* node, const char* name, float absent) {
  uint32_t attribute = naru_attribute(node, name), bits;
  float value = absent;
  if (attribute == 0) return absent;
  bits = (uint32_t)naru_fb_scalar(node->reader, attribute, 3, 4, 0);
  memcpy(&value, &bits, sizeof value);
  return value;
}
static inline const char* naru_attribute_text(const naru_node* node, const char* name, const char* absent) {
  uint32_t attribute = naru_attribute(node, name);
  return attribute == 0 ? absent : naru_fb_text(node->reader, attribute, 4);
}
/* Copies at most `capacity` integers and returns how many there are; 0 when absent. */
static inline uint32_t naru_attribute_ints(const naru_node* node, const char* name, int64_t* values,
                                           uint32_t capacity) {
  uint32_t list = naru_fb_target(node->reader, naru_attribute(node, name), 6), i;
  uint32_t count = naru_fb_count(node->reader, list, 8);
  for (i = 0; i < count && i < capacity; ++i) values[i] = (int64_t)naru_fb_element(node->reader, list, i, 8);
  return count;
}

#endif /* NARU_FRAGMENT_H */
