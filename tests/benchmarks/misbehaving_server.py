"""An HTTP server that speaks streamed completions and the Open Inference Protocol, well or badly.

The first part of a path chooses the manner: http://127.0.0.1:PORT/stall/v1/completions. MODES says which
reason codes each manner must give; None: the row is in order.
"""
import http.server
import json
import socket
import threading
import time

MODES = {
    "good": None,
    "no_usage": None,
    "empty_chunks": None,
    "running_usage": None,
    "comments": None,
    "multi_token": "MULTI_TOKEN_CHUNKS",
    "cached": "PREFIX_CACHED",
    "short_prompt": "PROMPT_LENGTH",
    "stall": "TIMEOUT",
    "silent": "TIMEOUT",
    "error_mid": "STREAM_ERROR",
    "error_event": "STREAM_ERROR",
    "early_close": "EARLY_CLOSE",
    "no_done": "EARLY_CLOSE",
    "closes_at_once": "EARLY_CLOSE",
    "claims_less": "USAGE_MISMATCH",
    "claims_more": "USAGE_MISMATCH",
    "count_falls": "USAGE_MISMATCH",
    "too_short": "LENGTH_MISMATCH",
    "too_long": "LENGTH_MISMATCH",
    "no_tokens": "NO_TOKENS",
    "status_500": "HTTP_STATUS",
    "status_429": "HTTP_STATUS",
    "not_streamed": "BAD_STREAM",
    "html": "BAD_STREAM",
    "garbage": "BAD_STREAM",
    "numbers": "BAD_STREAM",
    "endless_event": "BAD_STREAM",
}
INFER_MODES = {
    "good": None,
    "infer_not_json": "BAD_STREAM",
    "infer_no_outputs": "STREAM_ERROR",
    "infer_500": "HTTP_STATUS",
    "infer_stall": "TIMEOUT",
    "infer_metadata": "BAD_STREAM",
    "infer_huge": "REFUSED",
}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def split(self):
        _, mode, rest = self.path.split("/", 2)
        return mode, "/" + rest

    def answer(self, value, status=200, kind="application/json"):
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        mode, path = self.split()
        if path == "/v1/models":
            return self.answer({"data": [{"id": "served"}]})
        if path.startswith("/v2/models/"):
            inputs = [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}, {"name": "flag", "datatype": "BOOL", "shape": [1]}]
            if mode == "infer_huge":
                inputs[1]["shape"] = [1 << 40, 1 << 40]
            return self.answer({"inputs": "none" if mode == "infer_metadata" else inputs})
        if path == "/v2":
            return self.answer({"name": "test", "version": "1"})
        return self.answer({"error": "no such thing"}, 404)

    def do_POST(self):
        mode, path = self.split()
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            if path.endswith("/infer"):
                self.infer(mode, request)
            else:
                self.complete(mode, request, "chat" in path)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def infer(self, mode, request):
        for wanted in request["inputs"]:
            elements = 1
            for dim in wanted["shape"]:
                elements *= dim
            assert len(wanted["data"]) == elements, wanted["name"]
        if mode == "infer_stall":
            time.sleep(1)
        answers = {"infer_not_json": b"<html>", "infer_no_outputs": {"error": "none today"}}
        self.answer(answers.get(mode, {"outputs": [{"name": "y", "datatype": "FP32", "shape": [1], "data": [0.5]}]}),
                    500 if mode == "infer_500" else 200)

    def event(self, value, name=None):
        text = value if isinstance(value, str) else json.dumps(value)
        lines = (f"event: {name}\n" if name else "") + f"data: {text}\n\n"
        self.wfile.write(f"{len(lines.encode()):x}\r\n{lines}\r\n".encode())
        self.wfile.flush()

    def token(self, chat, text, **more):
        self.event({"choices": [{"delta": {"content": text}} if chat else {"text": text}], **more})

    def drop(self):
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def complete(self, mode, request, chat):
        asked = request["max_tokens"]
        if mode == "closes_at_once":
            return self.drop()
        if mode == "silent":
            return time.sleep(1)
        if mode.startswith("status_"):
            return self.answer({"error": {"message": "busy, " + "x" * 1000}}, int(mode[7:]))
        if mode == "not_streamed":
            return self.answer({"choices": [{"text": "a b c"}]})
        if mode == "html":
            return self.answer(b"<html>hello\n\n</html>", kind="text/html")
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if self.stream(mode, request, chat, asked):
            self.event("[DONE]")
        if not self.close_connection:
            self.wfile.write(b"0\r\n\r\n")

    def stream(self, mode, request, chat, asked):
        """Sends the events; false: the stream has no end mark."""
        if mode == "endless_event":
            for _ in range(600):
                self.wfile.write(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
            return False
        prompt = request.get("prompt") or request["messages"][0]["content"].split()
        usage = {"prompt_tokens": len(prompt) // (2 if mode == "short_prompt" else 1), "completion_tokens": asked}
        if mode == "cached":
            usage["prompt_tokens_details"] = {"cached_tokens": 3}
        count = {"too_short": asked - 1, "too_long": asked + 1, "no_tokens": 0, "claims_more": 2}.get(mode, asked)
        usage["completion_tokens"] = {"claims_less": 1, "claims_more": asked}.get(mode, count)
        step = 2 if mode == "multi_token" else 1
        if chat:
            self.event({"choices": [{"delta": {"role": "assistant", "content": ""}}]})
        for i in range(0, count, step):
            if mode == "empty_chunks":
                self.token(chat, "")
            if mode == "comments":
                self.wfile.write(b"8\r\n: ping\n\n\r\n")
            if i == count // 2:
                if mode == "stall":
                    time.sleep(1)
                if mode == "error_mid":
                    self.event({"error": {"message": "out of luck", "code": 500}})
                if mode == "error_event":
                    self.event({"message": "out of luck"}, name="error")
                if mode == "early_close":
                    self.drop()
                    return False
                if mode == "garbage":
                    self.event("{not json")
                if mode == "numbers":
                    self.event({"choices": 7})
            more = {}
            if mode in ("running_usage", "count_falls"):
                more["usage"] = {"completion_tokens": count - i if mode == "count_falls" else i + 1}
            self.token(chat, "w" if mode == "claims_more" else " ab" * step, **more)
            time.sleep(0.001)
        if mode != "no_usage":
            self.event({"choices": [], "usage": usage})
        return mode != "no_done"


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request, client_address):
        pass

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def url(self, mode):
        return f"http://127.0.0.1:{self.server_address[1]}/{mode}"


def make_server():
    return Server(("127.0.0.1", 0), Handler)
