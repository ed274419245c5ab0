// Grammar and TokenConstraint: output that is bound to a grammar or a JSON schema, token by token.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "naru/token_mask.h"
#include "naru/tokenizer.h"

namespace naru {

/// A checked grammar. Immutable; copies share it.
class Grammar {
 public:
  /// Grammar text in the notation of llama.cpp (GBNF): rules `name ::= ...` from "text", [a-z],
  /// `.`, (groups), `|`, and `*`, `+`, `?`, `{m}`, `{m,}`, `{m,n}`; the text is that of `root`.
  /// @throws Error InvalidArgument for a malformed grammar, for rules that begin with themselves or
  /// never end, and over limits (depth 64, 500,000 elements written out).
  static Grammar from_gbnf(std::string_view text);

  /// A JSON schema. Every finished text is a document that the schema accepts; not every such
  /// document can be written: objects have their declared properties only, in order, and numbers up
  /// to 16 digits on each side of the point. Known: type (one or several), properties, required,
  /// additionalProperties, items, prefixItems, minItems, maxItems, enum, const, anyOf, allOf of one
  /// schema, $ref within the document, minLength, maxLength, pattern, format (date, time,
  /// date-time, uuid; others are notes), minimum, maximum, exclusiveMinimum, exclusiveMaximum.
  /// @throws Error InvalidArgument for a malformed schema, one that accepts nothing, and over
  /// limits (depth 64, 10,000 schemas); Unsupported for other keywords.
  static Grammar from_json_schema(std::string_view schema);

  struct Impl;
  explicit Grammar(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  const Impl& impl() const noexcept { return *impl_; }

 private:
  std::shared_ptr<const Impl> impl_;
};

/// A vocabulary as constraints need it; make one per tokenizer. Immutable; copies share it.
class ConstraintVocabulary {
 public:
  explicit ConstraintVocabulary(const Tokenizer& tokenizer);

  struct Impl;
  const Impl& impl() const noexcept { return *impl_; }

 private:
  std::shared_ptr<const Impl> impl_;
};

/// Where one sequence stands in a grammar. One thread at a time.
class TokenConstraint {
 public:
  TokenConstraint(Grammar grammar, ConstraintVocabulary vocabulary);
  ~TokenConstraint();
  TokenConstraint(TokenConstraint&&) noexcept;
  TokenConstraint& operator=(TokenConstraint&&) noexcept;

  /// The tokens that may come next; tokens that end the generation among them only when the text is
  /// complete. Valid until the next call. @throws Error InvalidArgument when the text has become
  /// too deep (2,000 levels) or too ambiguous.
  const TokenMask& next_mask();

  /// Takes a token. @throws Error InvalidArgument when it may not come.
  void accept(TokenId id);

  /// Whether the text may end here.
  bool is_complete() const;
  /// Whether a token that ends the generation was accepted.
  bool is_finished() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace naru
