/* A host of a later version of the header: loads a plug-in of any version and runs one Relu on it.
 *   grown_host PLUGIN.so FRAGMENT   exit code 0: the result is right */
#include <dlfcn.h>
#include <naru/naru_plugin.h>
#include <stdio.h>
#include <stdlib.h>

static const naru_host kHost = {.struct_size = sizeof kHost, .abi_major = NARU_ABI_MAJOR, .abi_minor = NARU_ABI_MINOR};

static void require(int condition, const char* what) {
  if (condition) return;
  fprintf(stderr, "grown host: %s\n", what);
  exit(1);
}

static naru_fragment read_fragment(const char* path) {
  naru_fragment fragment = {.struct_size = sizeof fragment};
  FILE* file = fopen(path, "rb");
  void* bytes = aligned_alloc(64, 1 << 16);
  require(file != NULL && bytes != NULL, "cannot read the fragment");
  fragment.size_bytes = fread(bytes, 1, 1 << 16, file);
  fragment.data = bytes;
  fclose(file);
  return fragment;
}

int main(int count, char** arguments) {
  naru_status status = {.struct_size = sizeof status};
  const naru_plugin* plugin = NULL;
  naru_device_info info = {.struct_size = sizeof info, .grown_clock_hz = 7};
  naru_verdict verdict = {.struct_size = sizeof verdict};
  naru_verdict* verdicts[] = {&verdict};
  naru_compile_options options = {.struct_size = sizeof options};
  naru_device* device = NULL;
  naru_executable* executable = NULL;
  naru_submission* submission = NULL;
  float x[32], y[32];
  naru_binding in = {.struct_size = sizeof in, .data = x, .size_bytes = sizeof x};
  naru_binding out = {.struct_size = sizeof out, .data = y, .size_bytes = sizeof y};
  const naru_binding* inputs[] = {&in};
  const naru_binding* outputs[] = {&out};
  naru_submit_info submit = {.struct_size = sizeof submit, .input_count = 1, .output_count = 1, .inputs = inputs, .outputs = outputs};
  naru_fragment fragment;
  naru_plugin_get_api_fn get_api;
  void* library;
  int i;
  require(count == 3, "expected PLUGIN.so FRAGMENT");
  library = dlopen(arguments[1], RTLD_NOW);
  require(library != NULL, "the plug-in does not load");
  *(void**)&get_api = dlsym(library, NARU_PLUGIN_SYMBOL);
  require(get_api != NULL && get_api(&kHost, &plugin, &status) == NARU_OK, "no table");
  require(!NARU_HAS(plugin, grown) || plugin->grown == NULL, "an old plug-in seems to have the new table");
  require(plugin->device->info(0, &info, &status) == NARU_OK && info.grown_clock_hz == 7, "info wrote a field it does not know");
  require(plugin->device->open(0, NULL, 0, &device, &status) == NARU_OK, "open");
  fragment = read_fragment(arguments[2]);
  require(plugin->compile->support(device, &fragment, verdicts, 1, &status) == NARU_OK && verdict.accepted, "support");
  require(plugin->compile->compile(device, &fragment, &options, &executable, &status) == NARU_OK, "compile");
  for (i = 0; i < 32; ++i) x[i] = (float)(i - 16);
  require(plugin->exec->submit(executable, &submit, &submission, &status) == NARU_OK, "submit");
  for (i = 0; i < 32; ++i) require(y[i] == (x[i] > 0 ? x[i] : 0), "a wrong result");
  plugin->compile->destroy(executable);
  plugin->device->close(device);
  free((void*)fragment.data);
  return 0;
}
