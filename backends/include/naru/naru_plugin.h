/* The plug-in interface of Naru: what a vendor's shared library offers so that Naru runs on its device.
 *
 * C99 and C++. One exported symbol, naru_plugin_get_api(). A library built against this header loads in
 * every later 1.x of Naru, and one built against a later 1.x header loads in an older 1.x host.
 *
 * Rules that hold for every call
 *   Growth    Each struct begins with struct_size, which the side that allocates it sets to its own
 *             sizeof. Structs are only ever appended to. Read a member that may be missing through
 *             NARU_HAS(). Arrays hold pointers to structs, so that their stride never changes.
 *   Tables    naru_plugin points to tables of functions. `device`, `compile` and `exec` are required;
 *             any other table, and any function marked optional, may be NULL: the host has a default.
 *             Required in all: ten functions (see the tables), one of them the exported symbol.
 *   Errors    A function returns a naru_code. On any code below 0 it fills `status` (never NULL) with
 *             naru_set_status(). `retryable` says that the same call may work later. No exception
 *             and no longjmp leaves the library; it never ends the process.
 *   Memory    Who allocates frees. Strings and arrays that the plug-in returns in structs live until the
 *             object they describe is closed; those it receives live until the call returns, unless
 *             the call says otherwise. Nothing changes owner.
 *   Handles   Opaque to the other side. The host destroys every handle that it got, submissions first,
 *             then executables and memory, then the device. NULL is never passed as a handle.
 *   Threads   "Any thread" calls may come at any time from any thread, several at once, when
 *             NARU_DEVICE_THREAD_SAFE is set; else the host makes one call at a time per device.
 *   Time      Durations are nanoseconds. The host has a deadline for each call and takes a library that
 *             misses it for hung. */
#ifndef NARU_PLUGIN_H
#define NARU_PLUGIN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NARU_ABI_MAJOR 1u /* a change here breaks binaries; 1 stays for all of Naru 1.x */
#define NARU_ABI_MINOR 0u /* grows with each appended member or table; information only */

#if defined(_WIN32)
#define NARU_EXPORT __declspec(dllexport)
#else
#define NARU_EXPORT __attribute__((visibility("default")))
#endif

/* True when the other side's struct is long enough to hold `member`. */
#define NARU_HAS(object, member)                                                                     \
  ((object)->struct_size >= (uint32_t)((size_t)((const char*)&(object)->member - (const char*)(object)) + \
                                       sizeof((object)->member)))

/* ---- status ------------------------------------------------------------------------------------- */

typedef int32_t naru_code;
enum {
  NARU_OK = 0,
  NARU_PENDING = 1, /* submit: completion follows; wait, poll: not done yet */
  NARU_INVALID_ARGUMENT = -1,
  NARU_INVALID_MODEL = -2,
  NARU_UNSUPPORTED = -3,
  NARU_OUT_OF_MEMORY = -4,
  NARU_DEVICE_ERROR = -5, /* the device or its driver failed */
  NARU_IO_ERROR = -6,
  NARU_CANCELLED = -7,
  NARU_TIMED_OUT = -8, /* a time budget passed; the object stays usable */
  NARU_INTERNAL = -9,  /* a bug in the plug-in */
  NARU_DEVICE_LOST = -10, /* nothing on this device works until it is opened again */
  NARU_BUSY = -11         /* another process holds the device; the text says which */
};

/* Filled on failure. Allocated by the caller. */
typedef struct naru_status {
  uint32_t struct_size;
  naru_code code;
  uint32_t retryable; /* 0 or 1 */
  uint32_t reserved;
  char text[256]; /* "<subject>: <got>, <expected>"; NUL-terminated UTF-8 */
} naru_status;

/* Fills a status and returns its code. */
static inline naru_code naru_set_status(naru_status* status, naru_code code, uint32_t retryable, const char* text) {
  size_t length = strlen(text);
  status->code = code;
  status->retryable = retryable;
  if (length >= sizeof status->text) length = sizeof status->text - 1;
  memcpy(status->text, text, length);
  status->text[length] = '\0';
  return code;
}

/* ---- what the host offers ----------------------------------------------------------------------- */

enum { NARU_LOG_ERROR = 0, NARU_LOG_WARNING = 1, NARU_LOG_INFO = 2, NARU_LOG_DEBUG = 3 };

/* Services of the host; lives until the library is unloaded. Every function: any thread. */
typedef struct naru_host {
  uint32_t struct_size;
  uint32_t abi_major;
  uint32_t abi_minor;
  uint32_t reserved;
  void* context; /* first argument of the functions */
  void (*log)(void* context, int32_t level, const char* text);
  /* Aligned memory, NULL when refused; alignment is a power of two. */
  void* (*allocate)(void* context, uint64_t size_bytes, uint64_t alignment);
  void (*release)(void* context, void* memory);
  /* Runs task(argument, 0..count-1), on several cores where there are any; returns when all are done. */
  void (*parallel)(void* context, uint32_t count, void (*task)(void* argument, uint32_t index), void* argument);
} naru_host;

/* A pair of an option given by the user: `--device plugin:PATH,key=value`. */
typedef struct naru_option {
  uint32_t struct_size;
  uint32_t reserved;
  const char* key;
  const char* value;
} naru_option;

/* ---- devices ------------------------------------------------------------------------------------ */

typedef struct naru_device naru_device;         /* an open device */
typedef struct naru_executable naru_executable; /* a compiled fragment */
typedef struct naru_submission naru_submission; /* work under way */
typedef struct naru_memory naru_memory;         /* device memory */
typedef struct naru_recording naru_recording;   /* submissions kept for replay */
typedef struct naru_state naru_state;           /* KV or recurrent state in the device */
typedef struct naru_group naru_group;           /* devices that work as one */

/* Element types are those of Naru's models (naru/dtype.h): f32 2, f16 3, bf16 4, i64 16, i32 17, i8 19, u8 35... */
typedef int32_t naru_dtype;

/* How a type is supported. */
enum {
  NARU_USE_INPUT = 1u,
  NARU_USE_WEIGHT = 2u,
  NARU_USE_OUTPUT = 4u,
  NARU_USE_ACCUMULATOR = 8u,
  NARU_USE_NOT_IEEE = 16u /* stored in another form: the plug-in converts at its ends */
};
typedef struct naru_type_row {
  uint32_t struct_size;
  naru_dtype dtype;
  uint32_t uses;          /* NARU_USE_... */
  uint32_t mantissa_bits; /* of the physical form; 0: as the type says */
} naru_type_row;

/* A physical layout that the device keeps tensors in. For reports: at its ends a fragment is dense and
 * row-major, and the plug-in converts. */
typedef struct naru_layout_row {
  uint32_t struct_size;
  uint32_t alignment_bytes;
  uint32_t channel_multiple; /* channels are padded to this; 1: not */
  uint32_t reserved;
  const char* name; /* "NHWC", "NHWC32c" */
} naru_layout_row;

enum { NARU_POOL_DEVICE = 0, NARU_POOL_HOST_VISIBLE = 1, NARU_POOL_ON_CHIP = 2 };
typedef struct naru_pool_row {
  uint32_t struct_size;
  uint32_t kind; /* NARU_POOL_... */
  uint64_t size_bytes;
  uint64_t bytes_per_second; /* 0: unknown */
} naru_pool_row;

/* Which sizes of a dynamic axis the device compiles. The host pads up to the next one. */
enum { NARU_AXIS_BATCH = 0, NARU_AXIS_QUERY = 1, NARU_AXIS_KV = 2, NARU_AXIS_OTHER = 3 };
typedef struct naru_bucket_rule {
  uint32_t struct_size;
  uint32_t axis;        /* NARU_AXIS_... */
  int64_t minimum;      /* smallest size */
  int64_t maximum;      /* largest size; over it a request is refused */
  int64_t multiple;     /* sizes are multiples of this */
  uint32_t powers_of_2; /* 1: minimum times a power of two only */
  uint32_t reserved;
} naru_bucket_rule;

enum {
  NARU_DEVICE_THREAD_SAFE = 1u,    /* "any thread" calls may overlap */
  NARU_DEVICE_STATIC_SHAPES = 2u,  /* plan buckets by `buckets` */
  NARU_DEVICE_COPIES_WEIGHTS = 4u, /* nothing of a fragment is read after compile() returns */
  NARU_DEVICE_EXCLUSIVE = 8u       /* one process at a time */
};
enum { NARU_DETERMINISM_UNKNOWN = 0, NARU_DETERMINISM_PER_RUN = 1, NARU_DETERMINISM_BITWISE = 2 };
enum { NARU_POWER_NONE = 0, NARU_POWER_ESTIMATED = 1, NARU_POWER_MEASURED = 2 };

/* What a device is. The host passes a zeroed struct; members past struct_size are not written. */
typedef struct naru_device_info {
  uint32_t struct_size;
  uint32_t flags; /* NARU_DEVICE_... */
  const char* name;
  const char* vendor;
  const char* sku;              /* with core grouping; part of the key of compiled artefacts, as are: */
  const char* driver_version;
  const char* firmware_version;
  const char* compiler_version;
  uint64_t memory_bytes;
  uint64_t max_allocation_bytes; /* 0: memory_bytes */
  uint64_t max_transfer_bytes;   /* 0: no limit; the host splits copies */
  uint32_t buffer_alignment;     /* of the pointers bound to submissions; 0 or 1: none, at most 4096 */
  uint32_t queue_depth;          /* submissions that may be under way; 0: 1 */
  uint32_t core_count;
  uint32_t determinism; /* NARU_DETERMINISM_... */
  uint32_t power_sensor; /* NARU_POWER_... */
  uint32_t type_count, layout_count, pool_count, bucket_count;
  const naru_type_row* const* types;
  const naru_layout_row* const* layouts;
  const naru_pool_row* const* pools;
  const naru_bucket_rule* const* buckets;
} naru_device_info;

/* Required: all four. */
typedef struct naru_device_table {
  uint32_t struct_size;
  uint32_t reserved;
  /* How many devices this machine has; 0 is a good answer. Any thread. */
  naru_code (*count)(uint32_t* count, naru_status* status);
  /* Describes device `index` without opening it. The strings live until the library is unloaded. Any thread. */
  naru_code (*info)(uint32_t index, naru_device_info* info, naru_status* status);
  /* Opens a device. An unknown option is NARU_INVALID_ARGUMENT. A device that another process holds is
   * NARU_BUSY. Any thread. */
  naru_code (*open)(uint32_t index, const naru_option* const* options, uint32_t option_count, naru_device** device,
                    naru_status* status);
  /* Closes a device; the host has destroyed what belongs to it. One thread. */
  void (*close)(naru_device* device);
} naru_device_table;

/* ---- compiling ---------------------------------------------------------------------------------- */

/* A part of a model as bytes: the container described in naru_fragment.h, which also reads it. Every
 * shape is static, every attribute is spelled out (defaults included), constants stand in it with a hash
 * of their bytes. The bytes start on a multiple of 64 and live until compile() or support() returns; for a
 * compiled fragment until destroy(), unless NARU_DEVICE_COPIES_WEIGHTS is set. */
typedef struct naru_fragment {
  uint32_t struct_size;
  uint32_t reserved;
  const void* data;
  uint64_t size_bytes;
} naru_fragment;

/* Why a node is refused; for counters. The text is for people. */
enum {
  NARU_REASON_NONE = 0, /* accepted */
  NARU_REASON_OPERATOR = 1,
  NARU_REASON_TYPE = 2,
  NARU_REASON_SHAPE = 3,
  NARU_REASON_ATTRIBUTE = 4,
  NARU_REASON_MEMORY = 5,
  NARU_REASON_OTHER = 6
};
typedef struct naru_verdict {
  uint32_t struct_size;
  uint32_t accepted; /* 0 or 1 */
  uint32_t reason;   /* NARU_REASON_... */
  uint32_t reserved;
  double seconds; /* estimated time; 0: unknown */
  char text[192]; /* why not, or which kernel */
} naru_verdict;

typedef struct naru_compile_options {
  uint32_t struct_size;
  uint32_t reserved;
  uint64_t time_budget_ns; /* 0: none. Over it: NARU_TIMED_OUT */
  /* Called now and then with a fraction of 0 to 1; a return of 1 asks the compiler to stop with
   * NARU_CANCELLED. May be NULL. Called on the thread of compile(). */
  int32_t (*progress)(void* context, double fraction, const char* phase);
  void* context;
} naru_compile_options;

typedef struct naru_executable_info {
  uint32_t struct_size;
  uint32_t reserved;
  uint64_t weights_bytes;   /* device memory for packed weights */
  uint64_t workspace_bytes; /* device memory of one submission */
  uint64_t padded_flops;    /* work done on padding, of total_flops; 0: unknown */
  uint64_t total_flops;
  char text[1024]; /* one line per step; NUL-terminated */
} naru_executable_info;

/* Required: support, compile, destroy. */
typedef struct naru_compile_table {
  uint32_t struct_size;
  uint32_t reserved;
  /* Answers for each node of a graph, seen as a whole; verdicts[i] belongs to node i, zeroed by the host. An
   * operator that is not known is refused in its verdict, not an error. Here alone shapes need not be
   * static (refuse such a node with NARU_REASON_SHAPE) and large constants come without their bytes.
   * Any thread. */
  naru_code (*support)(naru_device* device, const naru_fragment* fragment, naru_verdict* const* verdicts,
                       uint32_t node_count, naru_status* status);
  /* Compiles a fragment whose nodes were all accepted. Blocks; the host calls it off the hot path. Any thread. */
  naru_code (*compile)(naru_device* device, const naru_fragment* fragment, const naru_compile_options* options,
                       naru_executable** executable, naru_status* status);
  /* No submission of it is under way. Any thread. */
  void (*destroy)(naru_executable* executable);
  /* Optional. `info` is zeroed by the host. Any thread. */
  naru_code (*describe)(const naru_executable* executable, naru_executable_info* info, naru_status* status);
} naru_compile_table;

/* ---- running ------------------------------------------------------------------------------------ */

/* A tensor at an end of an executable: dense and row-major, at `data` in host memory, or at
 * `offset_bytes` of device memory when `memory` is not NULL. */
typedef struct naru_binding {
  uint32_t struct_size;
  uint32_t reserved;
  void* data;
  naru_memory* memory;
  uint64_t offset_bytes;
  uint64_t size_bytes;
} naru_binding;

/* Nanoseconds of CLOCK_MONOTONIC. `node` is an index into the fragment; -1: a copy or conversion. */
typedef void (*naru_span_fn)(void* context, int32_t node, const char* kernel, int64_t start_ns, int64_t end_ns);

/* Answers a submission that returned NARU_PENDING without a handle: exactly once, on any thread, also
 * before submit() has returned. */
typedef void (*naru_complete_fn)(void* context, uint64_t ticket, naru_code code, const char* text);

typedef struct naru_submit_info {
  uint32_t struct_size;
  uint32_t input_count, output_count;
  uint32_t reserved;
  const naru_binding* const* inputs; /* in the fragment's order; read only */
  const naru_binding* const* outputs; /* no two overlap; written completely, and nothing besides them */
  naru_complete_fn complete;
  void* complete_context;
  uint64_t ticket;
  naru_span_fn span; /* NULL: do not profile. Called before the submission is done */
  void* span_context;
  naru_state* state; /* NULL, or what a state executable reads and updates */
} naru_submit_info;

/* Required: submit. The rest only for a plug-in whose submit() returns handles. */
typedef struct naru_exec_table {
  uint32_t struct_size;
  uint32_t reserved;
  /* Runs an executable once. Three styles, chosen by the plug-in at each call:
   *   NARU_OK                           done: outputs are written.
   *   NARU_PENDING, *submission set     under way: the host calls wait() or poll(), then release().
   *   NARU_PENDING, *submission NULL    under way: the plug-in calls `complete` once.
   * Bindings and what they point to stay valid until the work is done; `info` and its arrays until the
   * call returns. Any thread. */
  naru_code (*submit)(naru_executable* executable, const naru_submit_info* info, naru_submission** submission,
                      naru_status* status);
  /* Blocks for at most `timeout_ns`: NARU_OK, NARU_PENDING after the time, or the failure. Any thread. */
  naru_code (*wait)(naru_submission* submission, uint64_t timeout_ns, naru_status* status);
  naru_code (*poll)(naru_submission* submission, naru_status* status); /* optional */
  void (*cancel)(naru_submission* submission);                         /* optional; best effort */
  void (*release)(naru_submission* submission);                        /* after it is done */
} naru_exec_table;

/* ---- optional: artefacts ------------------------------------------------------------------------ */

enum {
  NARU_ARTEFACT_OK = 0,
  NARU_ARTEFACT_SLOWER = 1,    /* runs; compiling again would be faster */
  NARU_ARTEFACT_RECOMPILE = 2, /* another driver, firmware or device */
  NARU_ARTEFACT_DAMAGED = 3
};

/* Default: fragments are compiled again in each process. The host keeps the bytes with a checksum under a
 * key of fragment, device, versions and options; they are untrusted input all the same. */
typedef struct naru_artefact_table {
  uint32_t struct_size;
  uint32_t reserved;
  /* Calls `write` one or more times; a return other than 0 stops with NARU_IO_ERROR. Any thread. */
  naru_code (*save)(const naru_executable* executable,
                    int32_t (*write)(void* context, const void* bytes, uint64_t size_bytes), void* context,
                    naru_status* status);
  /* NARU_OK with a verdict, also for bytes that make no sense. Any thread. */
  naru_code (*check)(naru_device* device, const void* bytes, uint64_t size_bytes, uint32_t* verdict,
                     naru_status* status);
  /* The bytes may be freed after the call. Any thread. */
  naru_code (*load)(naru_device* device, const void* bytes, uint64_t size_bytes, naru_executable** executable,
                    naru_status* status);
} naru_artefact_table;

/* ---- optional: device memory -------------------------------------------------------------------- */

enum { NARU_IMPORT_HOST_POINTER = 0, NARU_IMPORT_DMA_BUF = 1 };

/* Default: bindings are host memory. With this table, `allocate`, `release`, `write` and `read` are
 * required and bindings are device memory. Any thread. */
typedef struct naru_memory_table {
  uint32_t struct_size;
  uint32_t reserved;
  naru_code (*allocate)(naru_device* device, uint32_t pool, uint64_t size_bytes, uint64_t alignment,
                        naru_memory** memory, naru_status* status);
  void (*release)(naru_memory* memory);
  /* Blocking copies within the bounds of the memory. */
  naru_code (*write)(naru_memory* memory, uint64_t offset_bytes, const void* from, uint64_t size_bytes,
                     naru_status* status);
  naru_code (*read)(naru_memory* memory, uint64_t offset_bytes, void* to, uint64_t size_bytes, naru_status* status);
  /* Optional: the rest. An import lasts until release(); the other side stays the owner. */
  naru_code (*import)(naru_device* device, uint32_t kind, void* pointer, int32_t file_descriptor,
                      uint64_t size_bytes, naru_memory** memory, naru_status* status);
  naru_code (*view)(naru_memory* memory, uint64_t offset_bytes, uint64_t size_bytes, naru_memory** part,
                    naru_status* status);
  /* As submit() without inputs: done, a handle, or NARU_UNSUPPORTED. */
  naru_code (*copy)(naru_memory* from, uint64_t from_offset, naru_memory* to, uint64_t to_offset,
                    uint64_t size_bytes, naru_submission** submission, naru_status* status);
} naru_memory_table;

/* ---- optional: record and replay ---------------------------------------------------------------- */

/* Default: the host submits again. Any thread. */
typedef struct naru_record_table {
  uint32_t struct_size;
  uint32_t reserved;
  naru_code (*record)(naru_device* device, naru_executable* const* executables,
                      const naru_submit_info* const* infos, uint32_t count, naru_recording** recording,
                      naru_status* status);
  naru_code (*replay)(naru_recording* recording, naru_submission** submission, naru_status* status);
  void (*release)(naru_recording* recording);
} naru_record_table;

/* ---- optional: state in the device -------------------------------------------------------------- */

enum { NARU_STATE_PAGES = 0, NARU_STATE_SLOT = 1, NARU_STATE_OPAQUE = 2 };
typedef struct naru_state_info {
  uint32_t struct_size;
  uint32_t kind;       /* NARU_STATE_... */
  int64_t max_tokens;  /* that the state can hold */
  int64_t page_tokens; /* 0: the device chooses, and writes its choice here */
} naru_state_info;

/* Default: the host keeps the KV cache and binds it as inputs and outputs. Any thread. */
typedef struct naru_state_table {
  uint32_t struct_size;
  uint32_t reserved;
  naru_code (*create)(naru_executable* executable, naru_state_info* info, naru_state** state, naru_status* status);
  void (*destroy)(naru_state* state);
  /* Keeps the first `tokens` tokens and forgets the rest; 0 empties. */
  naru_code (*truncate)(naru_state* state, int64_t tokens, naru_status* status);
  naru_code (*copy)(const naru_state* from, naru_state* to, int64_t tokens, naru_status* status);
  /* The state as bytes, for prefix caches; load() refuses what dump() did not write. */
  naru_code (*dump)(const naru_state* state, int32_t (*write)(void* context, const void* bytes, uint64_t size_bytes),
                    void* context, naru_status* status);
  naru_code (*load)(naru_state* state, const void* bytes, uint64_t size_bytes, naru_status* status);
} naru_state_table;

/* ---- optional: groups and collectives ----------------------------------------------------------- */

enum { NARU_ALL_REDUCE = 0, NARU_ALL_GATHER = 1, NARU_REDUCE_SCATTER = 2, NARU_BROADCAST = 3 };

/* Default: devices work alone, and the host copies between them. Any thread. */
typedef struct naru_group_table {
  uint32_t struct_size;
  uint32_t reserved;
  naru_code (*create)(naru_device* const* devices, uint32_t count, naru_group** group, naru_status* status);
  void (*destroy)(naru_group* group);
  /* One memory per device, at the same place in each. */
  naru_code (*allocate_symmetric)(naru_group* group, uint64_t size_bytes, naru_memory** memories, naru_status* status);
  naru_code (*collective)(naru_group* group, uint32_t kind, naru_dtype dtype, naru_memory* const* in,
                          naru_memory* const* out, uint64_t count, naru_submission** submission,
                          naru_status* status);
} naru_group_table;

/* ---- optional: observation ---------------------------------------------------------------------- */

enum {
  NARU_THROTTLE_HEAT = 1u,
  NARU_THROTTLE_POWER = 2u,
  NARU_THROTTLE_CURRENT = 4u,
  NARU_HAS_POWER = 1u,
  NARU_HAS_ENERGY = 2u,
  NARU_HAS_TEMPERATURE = 4u,
  NARU_HAS_UTILISATION = 8u,
  NARU_HAS_CLOCK = 16u,
  NARU_HAS_MEMORY = 32u
};
typedef struct naru_telemetry {
  uint32_t struct_size;
  uint32_t valid; /* NARU_HAS_... : which of the following are meant */
  int64_t power_mw;
  int64_t energy_uj; /* counter since the device was opened */
  int64_t temperature_mc;
  int64_t utilisation_permille;
  int64_t clock_khz;
  int64_t memory_used_bytes;
  int64_t busy_ns; /* of the device's own clock since it was opened; a simulator's time is simulated */
  uint32_t throttle; /* NARU_THROTTLE_... */
  uint32_t reserved;
} naru_telemetry;

enum { NARU_EVENT_LOST = 0, NARU_EVENT_RESET = 1, NARU_EVENT_THROTTLE = 2, NARU_EVENT_ERROR = 3 };

/* Default: "not measured". Any thread. */
typedef struct naru_observe_table {
  uint32_t struct_size;
  uint32_t reserved;
  naru_code (*telemetry)(naru_device* device, naru_telemetry* telemetry, naru_status* status);
  /* From now on `event` is called on any thread, until it is replaced or the device is closed; NULL: no more. */
  naru_code (*set_event_callback)(naru_device* device, void (*event)(void* context, uint32_t kind, const char* text),
                                  void* context, naru_status* status);
} naru_observe_table;

/* ---- the one symbol ----------------------------------------------------------------------------- */

/* All that a plug-in offers; static in the library. */
typedef struct naru_plugin {
  uint32_t struct_size;
  uint32_t abi_major; /* NARU_ABI_MAJOR of the header it was built with */
  uint32_t abi_minor;
  uint32_t reserved;
  const char* name;    /* short, of [a-z0-9_-] */
  const char* version; /* part of the key of compiled artefacts */
  const naru_device_table* device;
  const naru_compile_table* compile;
  const naru_exec_table* exec;
  const naru_artefact_table* artefact;
  const naru_memory_table* memory;
  const naru_record_table* record;
  const naru_state_table* state;
  const naru_group_table* group;
  const naru_observe_table* observe;
} naru_plugin;

/* Called once, before anything else. NARU_UNSUPPORTED for a host whose abi_major differs. */
NARU_EXPORT naru_code naru_plugin_get_api(const naru_host* host, const naru_plugin** plugin, naru_status* status);
typedef naru_code (*naru_plugin_get_api_fn)(const naru_host* host, const naru_plugin** plugin, naru_status* status);
#define NARU_PLUGIN_SYMBOL "naru_plugin_get_api"

#ifdef __cplusplus
}
#endif

#endif /* NARU_PLUGIN_H */
