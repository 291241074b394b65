"""Serves the interop service with grpc-core on INTEROP_PORT; the descriptors are in INTEROP_DESCRIPTORS."""

import json
import os
import signal
from concurrent import futures

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

# Calls of concurrent_large_unary wait for a thread here.
THREADS = 32
ECHO_INITIAL = "x-grpc-test-echo-initial"
ECHO_TRAILING = "x-grpc-test-echo-trailing-bin"
STATUS = {code.value[0]: code for code in grpc.StatusCode}


def load_messages(path):
    files = descriptor_pb2.FileDescriptorSet()
    with open(path, "rb") as file:
        files.ParseFromString(file.read())
    factory = message_factory.MessageFactory(descriptor_pool.DescriptorPool())
    for file in files.file:
        factory.pool.Add(file)
    return lambda name: factory.GetPrototype(factory.pool.FindMessageTypeByName("grpc." + name))


message = load_messages(os.environ["INTEROP_DESCRIPTORS"])
Empty = message("testing.Empty")
SimpleResponse = message("testing.SimpleResponse")
InputResponse = message("testing.StreamingInputCallResponse")
OutputResponse = message("testing.StreamingOutputCallResponse")
HealthResponse = message("health.v1.HealthCheckResponse")


def payload(response, size):
    response.payload.body = bytes(size)
    return response


def echo(context):
    sent = context.invocation_metadata()
    initial = [(key, value) for key, value in sent if key == ECHO_INITIAL]
    trailing = [(key, value) for key, value in sent if key == ECHO_TRAILING]
    if initial:
        context.send_initial_metadata(initial)
    if trailing:
        context.set_trailing_metadata(trailing)


def end_as_asked(request, context):
    if not request.HasField("response_status"):
        return False
    context.set_code(STATUS[request.response_status.code])
    context.set_details(request.response_status.message)
    return True


def empty_call(_request, _context):
    return Empty()


def unary_call(request, context):
    if request.HasField("response_compressed") and request.response_compressed.value:
        context.set_compression(grpc.Compression.Gzip)
    echo(context)
    if end_as_asked(request, context):
        return SimpleResponse()
    return payload(SimpleResponse(), request.response_size)


def streaming_input_call(requests, _context):
    return InputResponse(aggregated_payload_size=sum(len(request.payload.body) for request in requests))


def output(request, context):
    for parameters in request.response_parameters:
        if not parameters.compressed.value:
            context.disable_next_message_compression()
        yield payload(OutputResponse(), parameters.size)


def streaming_output_call(request, context):
    if any(parameters.compressed.value for parameters in request.response_parameters):
        context.set_compression(grpc.Compression.Gzip)
    echo(context)
    if not end_as_asked(request, context):
        yield from output(request, context)


def full_duplex_call(requests, context):
    echo(context)
    for request in requests:
        if end_as_asked(request, context):
            return
        yield from output(request, context)


def check(request, context):
    if request.service not in ("", "grpc.testing.TestService"):
        context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
    return HealthResponse(status=1)


def handler(kind, behaviour, request):
    make = getattr(grpc, kind + "_rpc_method_handler")
    return make(behaviour, message(request).FromString, lambda response: response.SerializeToString())


def main():
    server = grpc.server(
        futures.ThreadPoolExecutor(THREADS),
        options=[("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)],
    )
    test_service = {
        "EmptyCall": handler("unary_unary", empty_call, "testing.Empty"),
        "UnaryCall": handler("unary_unary", unary_call, "testing.SimpleRequest"),
        "StreamingInputCall": handler("stream_unary", streaming_input_call, "testing.StreamingInputCallRequest"),
        "StreamingOutputCall": handler("unary_stream", streaming_output_call, "testing.StreamingOutputCallRequest"),
        "FullDuplexCall": handler("stream_stream", full_duplex_call, "testing.StreamingOutputCallRequest"),
    }
    health = {"Check": handler("unary_unary", check, "health.v1.HealthCheckRequest")}
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler("grpc.testing.TestService", test_service),
            grpc.method_handlers_generic_handler("grpc.health.v1.Health", health),
        )
    )
    port = server.add_insecure_port("127.0.0.1:" + os.environ["INTEROP_PORT"])
    server.start()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    print(json.dumps({"message": "interop server serves", "port": port}), flush=True)
    server.wait_for_termination()


main()
