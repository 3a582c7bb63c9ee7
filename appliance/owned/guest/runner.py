# The inside of a sandbox for one function in Python; the same protocol as runner.ts beside it. Started as `python3 runner.py ENTRY`.
import asyncio
import importlib.util
import inspect
import io
import json
import os
import queue
import sys
import threading
import traceback

PROTOCOL = 1
OUTPUT_BYTES_MAX = 1024 * 1024
LINE_CHARS_MAX = 4_000
STACK_CHARS_MAX = 2_000

# The pipe is ours alone: whatever the function prints goes to its log.
pipe = os.fdopen(os.dup(1), "wb", buffering=0)
calls = queue.Queue()
current = {"id": 0, "stop": None}
writing = threading.Lock()


def send(message):
    data = (json.dumps(message, ensure_ascii=False, default=str) + "\n").encode()
    with writing:
        while data:
            data = data[pipe.write(data):]


def say(level, text):
    if len(text) > LINE_CHARS_MAX:
        text = "%s… (%d characters)" % (text[:LINE_CHARS_MAX], len(text))
    send({"type": "log", "id": current["id"], "level": level, "text": text})


class Said(io.TextIOBase):
    def __init__(self, level):
        self.level, self.rest = level, ""

    def writable(self):
        return True

    def write(self, text):
        lines = (self.rest + text).split("\n")
        self.rest = lines.pop()
        for line in lines:
            say(self.level, line)
        if len(self.rest) > LINE_CHARS_MAX:
            say(self.level, self.rest)
            self.rest = ""
        return len(text)


sys.stdout, sys.stderr = Said("info"), Said("error")


class Context:
    def __init__(self, about, stop):
        self.id, self.attempt, self.trigger = about.get("id"), about.get("attempt"), about.get("trigger")
        # An Event: `ctx.signal.is_set()` once the call was cancelled.
        self.signal = stop

    def log(self, *said):
        say("info", " ".join(str(one) for one in said))

    def progress(self, done, total):
        send({"type": "progress", "id": current["id"], "done": float(done), "total": float(total)})


def failure(error):
    stack = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    message = "%s: %s" % (type(error).__name__, error)
    return {"message": message[:1000], "stack": stack[-STACK_CHARS_MAX:], "retry": getattr(error, "retry", True) is not False}


def run(handler, call):
    stop = threading.Event()
    current.update(id=call["id"], stop=stop)
    try:
        output = handler(call["input"], Context(call.get("about", {}), stop))
        if inspect.isawaitable(output):
            output = asyncio.run(awaited(output))
        text = json.dumps(output, ensure_ascii=False)
        if len(text.encode()) > OUTPUT_BYTES_MAX:
            error = ValueError("what it returns is larger than %d KB" % (OUTPUT_BYTES_MAX // 1024))
            error.retry = False
            raise error
        send({"type": "result", "id": call["id"], "output": text})
    except BaseException as error:
        send({"type": "failed", "id": call["id"], **failure(error)})
        if not isinstance(error, Exception):
            os._exit(1)
    finally:
        current.update(id=0, stop=None)


async def awaited(output):
    return await output


def read():
    for line in sys.stdin.buffer:
        message = json.loads(line)
        if message["type"] == "call":
            calls.put(message)
        elif message["id"] == current["id"] and current["stop"]:
            current["stop"].set()
    os._exit(0)


def main():
    entry = sys.argv[1]
    try:
        sys.dont_write_bytecode = True
        sys.path.insert(0, os.path.dirname(entry))
        spec = importlib.util.spec_from_file_location("function", entry)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        handler = getattr(module, "handler", None)
        if not callable(handler):
            raise TypeError("it has no `def handler(input, ctx):`")
    except BaseException as error:
        send({"type": "broken", "protocol": PROTOCOL, **failure(error)})
        os._exit(1)
    send({"type": "ready", "protocol": PROTOCOL})
    threading.Thread(target=read, daemon=True).start()
    while True:
        run(handler, calls.get())


main()
