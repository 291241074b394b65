/*
 * A gRPC server that answers every call with the bytes it was sent: headers, the same messages as they come, and the
 * trailer grpc-status 0 when the caller has said its last. Listens on 127.0.0.1 without TLS; prints one line of JSON
 * with its port when it is up. `echo [PORT]`, 0 or none: any free port.
 */
#define _GNU_SOURCE
#include "wire.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define EVENTS_MAX 64
/* Of one call that is not read back; beyond it the call is reset. */
#define CALL_BYTES_MAX (16 * 1024 * 1024)

struct call {
  uint8_t *bytes;
  size_t capacity;
  size_t start;
  size_t end;
  bool answered;
  bool ended;
};

/* Calls come and go; what they need is kept for the next one. */
static struct call *idle_calls[1024];
static size_t idle_count;

static struct call *call_open(void) {
  if (idle_count == 0) return wire_allocate(sizeof(struct call));
  struct call *call = idle_calls[--idle_count];
  call->start = call->end = 0;
  call->answered = call->ended = false;
  return call;
}

static void call_close(struct call *call) {
  if (idle_count < sizeof idle_calls / sizeof *idle_calls) {
    idle_calls[idle_count++] = call;
    return;
  }
  free(call->bytes);
  free(call);
}

static bool call_append(struct call *call, const uint8_t *bytes, size_t count) {
  if (call->start == call->end) call->start = call->end = 0;
  if (call->end + count > call->capacity) {
    memmove(call->bytes, call->bytes + call->start, call->end - call->start);
    call->end -= call->start;
    call->start = 0;
  }
  if (call->end + count > call->capacity) {
    size_t capacity = (call->end + count) * 2;
    if (capacity > CALL_BYTES_MAX) return false;
    uint8_t *larger = realloc(call->bytes, capacity);
    if (larger == NULL) return false;
    call->bytes = larger;
    call->capacity = capacity;
  }
  memcpy(call->bytes + call->end, bytes, count);
  call->end += count;
  return true;
}

static ssize_t on_send(nghttp2_session *session, int32_t stream, uint8_t *out, size_t room, uint32_t *flags,
                       nghttp2_data_source *source, void *context) {
  (void)context;
  struct call *call = source->ptr;
  size_t some = call->end - call->start;
  if (some > room) some = room;
  memcpy(out, call->bytes + call->start, some);
  call->start += some;
  if (call->ended && call->start == call->end) {
    static const nghttp2_nv trailers[] = {WIRE_HEADER("grpc-status", "0")};
    *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    nghttp2_submit_trailer(session, stream, trailers, 1);
    return (ssize_t)some;
  }
  return some == 0 ? NGHTTP2_ERR_DEFERRED : (ssize_t)some;
}

static void answer(nghttp2_session *session, int32_t stream, struct call *call) {
  if (call->answered) {
    nghttp2_session_resume_data(session, stream);
    return;
  }
  static const nghttp2_nv headers[] = {WIRE_HEADER(":status", "200"), WIRE_HEADER("content-type", "application/grpc")};
  nghttp2_data_provider provider = {.source = {.ptr = call}, .read_callback = on_send};
  call->answered = true;
  nghttp2_submit_response(session, stream, headers, 2, &provider);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
  (void)context;
  if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
  nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, call_open());
  return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *bytes, size_t count,
                   void *context) {
  (void)flags;
  (void)context;
  struct call *call = nghttp2_session_get_stream_user_data(session, stream);
  if (call == NULL) return 0;
  if (!call_append(call, bytes, count))
    return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream, NGHTTP2_ENHANCE_YOUR_CALM);
  return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
  (void)context;
  if (frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS) return 0;
  struct call *call = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
  if (call == NULL) return 0;
  if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) call->ended = true;
  if (call->ended || call->start < call->end) answer(session, frame->hd.stream_id, call);
  return 0;
}

static int on_close(nghttp2_session *session, int32_t stream, uint32_t error, void *context) {
  (void)error;
  (void)context;
  struct call *call = nghttp2_session_get_stream_user_data(session, stream);
  if (call != NULL) call_close(call);
  nghttp2_session_set_stream_user_data(session, stream, NULL);
  return 0;
}

static nghttp2_session_callbacks *callbacks;

static void accept_all(int listener, int epoll) {
  for (;;) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (fd < 0) return;
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct wire *wire = wire_allocate(sizeof *wire);
    wire->fd = fd;
    nghttp2_session_server_new(&wire->session, callbacks, wire);
    wire_settings(wire->session);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = wire};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
  }
}

static void serve(int epoll, struct wire *wire, uint32_t events) {
  enum wire_state state = WIRE_IDLE;
  if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) state = wire_read(wire);
  if (state != WIRE_BROKEN) state = wire_flush(wire);
  if (state == WIRE_BROKEN) {
    close(wire->fd);
    nghttp2_session_del(wire->session);
    free(wire);
    return;
  }
  bool wants_out = (events & EPOLLOUT) != 0;
  if ((state == WIRE_FULL) == wants_out) return;
  struct epoll_event event = {.events = state == WIRE_FULL ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.ptr = wire};
  epoll_ctl(epoll, EPOLL_CTL_MOD, wire->fd, &event);
}

int main(int count, char **arguments) {
  signal(SIGPIPE, SIG_IGN);
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  address.sin_port = htons((uint16_t)(count > 1 ? atoi(arguments[1]) : 0));
  socklen_t length = sizeof address;
  if (bind(listener, (struct sockaddr *)&address, length) != 0 || listen(listener, 1024) != 0) {
    perror("echo: cannot listen");
    return 1;
  }
  getsockname(listener, (struct sockaddr *)&address, &length);

  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);

  int epoll = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
  epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
  printf("{\"message\":\"echo serves\",\"port\":%d}\n", ntohs(address.sin_port));
  fflush(stdout);
  for (;;) {
    struct epoll_event events[EVENTS_MAX];
    int ready = epoll_wait(epoll, events, EVENTS_MAX, -1);
    for (int index = 0; index < ready; index += 1) {
      if (events[index].data.ptr == NULL) accept_all(listener, epoll);
      else serve(epoll, events[index].data.ptr, events[index].events);
    }
  }
}
