// Systems under test outside of this process: HTTP endpoints, and programs over a pipe.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>

#include "benchmarks/sut/system.h"

namespace naru::bench {

/// An endpoint that speaks the completions or chat completions of OpenAI, streamed. Settings:
///   "url"              base, for example "http://127.0.0.1:8000"; requests go to URL/v1/...
///   "api"              "completions" (prompts as token ids, the default) or "chat" (prompts as words)
///   "model"            name in requests; default: the first that the endpoint lists
///   "body"             fields laid over every request; null takes one away
///   "key_environment"  environment variable that holds the key
///   "stall_s"          without a byte for so long a request has failed; default 120
///   "vocabulary"       token ids of prompts are below
///   "command"          starts the server for each row; {model} {port} {concurrency} {context}
///                      {total_context} {kv} {threads} are filled in, and "url" is then not needed
///   "log"              file for what the server prints
///   "start_s"          how long it may take to be ready; default 120
/// @throws Error InvalidArgument for settings that are unknown or of the wrong kind.
std::unique_ptr<System> make_openai(const nlohmann::json& settings, int threads);
/// The settings with which the llama-server of llama.cpp is such an endpoint.
nlohmann::json llama_server_settings(const nlohmann::json& more);

/// An endpoint of the Open Inference Protocol (KServe v2) for models that do not generate. Settings:
/// "url", "model" (default: the suite's name of it), "version", "stall_s".
std::unique_ptr<System> make_kserve(const nlohmann::json& settings);

/// A program that reads requests from its standard input and answers on its standard output, one JSON
/// object a line; benchmarks/README.md has the protocol. Settings: "command", "stall_s", and "settings",
/// which goes to the program as it is.
std::unique_ptr<System> make_pipe(const nlohmann::json& settings);

}  // namespace naru::bench
