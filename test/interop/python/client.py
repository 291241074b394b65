"""client.py SCRIPT: does what the script says with grpc-core, prints what it saw as JSON, and ends (see src/script.ts)."""

import base64
import hashlib
import json
import queue
import sys
import time

import grpc

END = object()


def open_channel(script, compression=None):
    given = list(script.get("channelOptions", {}).items())
    # A connection of its own for each channel.
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
    return grpc.insecure_channel(script["target"], options + given, compression)


def metadata_of(pairs):
    return [(name, base64.b64decode(value) if name.endswith("-bin") else value) for name, value in pairs]


def pairs_of(metadata):
    if metadata is None:
        return []
    return [
        [name, base64.b64encode(value).decode() if isinstance(value, bytes) else value] for name, value in metadata
    ]


class Channels:
    """A plain one, and one that compresses, because a streaming call of this library does not by itself."""

    def __init__(self, script):
        self.script = script
        self.plain = open_channel(script)
        self.compressing = None

    def of(self, call):
        if "compression" not in call:
            return self.plain
        self.compressing = self.compressing or open_channel(self.script, grpc.Compression.Gzip)
        return self.compressing

    def close(self):
        self.plain.close()
        if self.compressing is not None:
            self.compressing.close()


class Call:
    """A call of any kind, behind one face."""

    def __init__(self, channels, script, messages):
        channel = channels.of(script)
        self.script = script
        self.messages = messages
        self.seen = []
        self.requests = queue.Queue()
        self.call = None
        self.options = {"metadata": metadata_of(script.get("metadata", []))}
        if "timeoutMs" in script:
            self.options["timeout"] = script["timeoutMs"] / 1000
        kind = script["kind"]
        if kind == "unary":
            self.make = channel.unary_unary(script["path"]).future
        elif kind == "serverStream":
            self.make = channel.unary_stream(script["path"])
        elif kind == "clientStream":
            self.call = channel.stream_unary(script["path"]).future(iter(self.requests.get, END), **self.options)
        else:
            self.call = channel.stream_stream(script["path"])(iter(self.requests.get, END), **self.options)
        self.is_stream = kind in ("serverStream", "bidi")

    def run(self):
        for step in self.script["steps"]:
            if step["do"] == "send":
                message = self.messages[step["message"]]
                if self.call is None:
                    self.call = self.make(message, **self.options)
                else:
                    self.requests.put(message)
            elif step["do"] == "receive":
                self.receive()
            elif step["do"] == "halfClose":
                self.requests.put(END)
            else:
                self.call.cancel()
        return self

    def receive(self):
        """Whether there was one more."""
        try:
            self.note(next(self.call))
            return True
        except StopIteration:
            return False
        except grpc.RpcError:
            # The status tells it.
            return False

    def note(self, message):
        self.seen.append({"bytes": len(message), "sha256": hashlib.sha256(message).hexdigest()})

    def end(self):
        if self.is_stream:
            while self.receive():
                pass
        else:
            try:
                self.note(self.call.result())
            except (grpc.RpcError, grpc.FutureCancelledError):
                # The status tells it.
                pass
        self.requests.put(END)
        code = self.call.code().value[0]
        headers = pairs_of(self.call.initial_metadata())
        return {
            "headers": headers,
            "messages": self.seen,
            "code": code,
            "details": self.call.details() or "",
            "trailers": pairs_of(self.call.trailing_metadata()),
        }


def note(outcomes, seen):
    def keep(pairs):
        return [pair for pair in pairs if pair[0] != "date"]

    def without_date(call):
        return {**call, "headers": keep(call["headers"]), "trailers": keep(call["trailers"])}

    for outcome in outcomes:
        if without_date(outcome["seen"]) == without_date(seen):
            outcome["times"] += 1
            return
    outcomes.append({"times": 1, "seen": seen})


def perform_case(case, script, shared, messages):
    repeat = case.get("repeat", {"times": 1, "concurrency": 1, "channel": "shared"})
    outcomes = [[] for _ in case["calls"]]
    begun = time.monotonic()

    def once(_):
        channel = Channels(script) if repeat["channel"] == "own" else shared
        seen = [Call(channel, call, messages).run().end() for call in case["calls"]]
        if repeat["channel"] == "own":
            channel.close()
        return seen

    if repeat["concurrency"] == 1:
        all_seen = [once(index) for index in range(repeat["times"])]
    else:
        # All are begun before the first is waited for: no thread is needed for each.
        (call,) = case["calls"]
        running = [Call(shared, call, messages).run() for _ in range(repeat["times"])]
        all_seen = [[one.end()] for one in running]
    for seen in all_seen:
        for index, one in enumerate(seen):
            note(outcomes[index], one)
    return {"name": case["name"], "calls": outcomes, "elapsedMs": round((time.monotonic() - begun) * 1000)}


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        script = json.load(file)
    messages = {name: base64.b64decode(value) for name, value in script["messages"].items()}
    shared = Channels(script)
    print(json.dumps([perform_case(case, script, shared, messages) for case in script["cases"]]))
    shared.close()


main()
