# One side of a comparison: the same commands as naru_worker, answered by ONNX Runtime or OpenVINO.
import json
import sys
import time

import numpy as np


class OnnxRuntime:
    def load(self, model, inputs, threads):
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        names = [i.name for i in self.session.get_inputs()]
        self.feed = dict(zip(names, inputs))

    def run(self):
        self.session.run(None, self.feed)

    @staticmethod
    def version():
        import onnxruntime as ort

        return "onnxruntime " + ort.__version__


class OpenVino:
    def load(self, model, inputs, threads):
        import openvino as ov

        core = ov.Core()
        config = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        graph = core.read_model(model)
        graph.reshape({port: array.shape for port, array in zip(graph.inputs, inputs)})
        self.request = core.compile_model(graph, "CPU", config).create_infer_request()
        self.feed = dict(enumerate(inputs))

    def run(self):
        self.request.infer(self.feed, share_inputs=True, share_outputs=True)

    @staticmethod
    def version():
        import openvino as ov

        return "openvino " + ov.__version__


ENGINES = {"onnxruntime": OnnxRuntime, "openvino": OpenVino}


def answer(engine, command):
    if "load" in command:
        start = time.perf_counter()
        engine.load(command["load"], [np.load(f) for f in command["inputs"]], command["threads"])
        loaded = time.perf_counter()
        engine.run()
        return {"load_s": loaded - start, "first_result_s": time.perf_counter() - start, "version": engine.version()}
    seconds = []
    for _ in range(command["run"]):
        start = time.perf_counter()
        engine.run()
        seconds.append(time.perf_counter() - start)
    return {"seconds": seconds}


def main():
    engine = ENGINES[sys.argv[1]]()
    for line in sys.stdin:
        command = json.loads(line)
        if "quit" in command:
            return
        try:
            result = answer(engine, command)
        except Exception as error:  # reported to the driver, which marks the row
            result = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(result), flush=True)


main()
