/*
 * Keeps a number of gRPC calls open on one connection, and in each of them a number of messages under way, for a while.
 * Every echo is checked for its length, every call for its trailer grpc-status 0.
 *
 * load HOST PORT AUTHORITY PATH MESSAGE_BYTES CALLS UNDER_WAY MESSAGES_PER_CALL WARM_UP_MS DURATION_MS
 *
 * MESSAGES_PER_CALL 0: the calls last as long as the program. 1: unary calls, and a latency is that of the whole call;
 * otherwise it is that of a message. Prints "began" and "ended" at the ends of what is measured, so that others can
 * measure the same time, and then one line of JSON. In between, every 20 ms, "at NANOSECONDS CALLS": how many have been
 * measured. SIGTERM ends the time that is measured.
 */
#include "wire.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>

#define PREFIX_BYTES 5
#define FAILURES_MAX 100
#define DRAIN_MS 10000
#define TELL_NS 20000000u
/* Latencies are kept to one part in 128. */
#define STEPS 128
#define BUCKETS (STEPS * 58)

struct call {
  int32_t stream;
  uint64_t *sent_at; /* a ring of `under_way`, oldest at `received` */
  uint64_t allowed;
  uint64_t sent;
  uint64_t received;
  size_t out_at; /* in the message that is being sent */
  size_t in_at;  /* in the echo that is being received */
  bool status_ok;
};

static struct wire wire;
static struct call *calls;
static size_t message_bytes, call_count, under_way;
static uint64_t per_call;
static const char *authority, *path;
static uint8_t *message;
static enum { WARMING, MEASURING, DRAINING } phase = WARMING;
static uint64_t buckets[BUCKETS];
static uint64_t measured, failures;
static size_t open_count;
static volatile sig_atomic_t is_told_to_end;

static void on_term(int number) {
  (void)number;
  is_told_to_end = 1;
}

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void record(uint64_t ns) {
  if (phase != MEASURING) return;
  measured += 1;
  unsigned shift = ns < STEPS ? 0 : 63u - (unsigned)__builtin_clzll(ns) - 7;
  size_t index = (size_t)shift * STEPS + (size_t)(ns >> shift);
  buckets[index < BUCKETS ? index : BUCKETS - 1] += 1;
}

static double percentile_us(double share) {
  uint64_t wanted = (uint64_t)(share * (double)measured), seen = 0;
  for (size_t index = 0; index < BUCKETS; index += 1) {
    seen += buckets[index];
    if (seen <= wanted) continue;
    unsigned shift = index < 2 * STEPS ? 0 : (unsigned)(index / STEPS) - 1;
    return (double)((index - (size_t)shift * STEPS) << shift) / 1000.0;
  }
  return 0;
}

static bool says_its_last(const struct call *call) {
  return phase == DRAINING ? call->out_at == 0 : per_call > 0 && call->sent == per_call;
}

static ssize_t on_send(nghttp2_session *session, int32_t stream, uint8_t *out, size_t room, uint32_t *flags,
                       nghttp2_data_source *source, void *context) {
  (void)session;
  (void)stream;
  (void)context;
  struct call *call = source->ptr;
  size_t whole = PREFIX_BYTES + message_bytes, filled = 0;
  while (filled < room && call->sent < call->allowed && !says_its_last(call)) {
    size_t some = whole - call->out_at;
    if (some > room - filled) some = room - filled;
    memcpy(out + filled, message + call->out_at, some);
    filled += some;
    call->out_at += some;
    if (call->out_at < whole) break;
    call->out_at = 0;
    call->sent += 1;
  }
  if (says_its_last(call)) *flags |= NGHTTP2_DATA_FLAG_EOF;
  else if (filled == 0) return NGHTTP2_ERR_DEFERRED;
  return (ssize_t)filled;
}

static void allow(struct call *call) {
  call->sent_at[call->allowed % under_way] = now_ns();
  call->allowed += 1;
}

static void open_call(struct call *call) {
  const nghttp2_nv headers[] = {
      WIRE_HEADER(":method", "POST"),           WIRE_HEADER(":scheme", "http"),
      WIRE_HEADER(":path", path),               WIRE_HEADER(":authority", authority),
      WIRE_HEADER("te", "trailers"),            WIRE_HEADER("content-type", "application/grpc"),
      WIRE_HEADER("user-agent", "bench-load"),
  };
  nghttp2_data_provider provider = {.source = {.ptr = call}, .read_callback = on_send};
  call->allowed = call->sent = call->received = 0;
  call->out_at = call->in_at = 0;
  call->status_ok = false;
  uint64_t first = per_call > 0 && per_call < under_way ? per_call : under_way;
  while (call->allowed < first) allow(call);
  call->stream = nghttp2_submit_request(wire.session, NULL, headers, 7, &provider, call);
  open_count += 1;
}

static void received_one(struct call *call) {
  if (per_call != 1) record(now_ns() - call->sent_at[call->received % under_way]);
  call->received += 1;
  if (phase == DRAINING || (per_call > 0 && call->allowed >= per_call)) return;
  allow(call);
  nghttp2_session_resume_data(wire.session, call->stream);
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *bytes, size_t count,
                   void *context) {
  (void)flags;
  (void)bytes;
  (void)context;
  struct call *call = nghttp2_session_get_stream_user_data(session, stream);
  if (call == NULL) return 0;
  call->in_at += count;
  while (call->in_at >= PREFIX_BYTES + message_bytes) {
    call->in_at -= PREFIX_BYTES + message_bytes;
    received_one(call);
  }
  return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_bytes,
                     const uint8_t *value, size_t value_bytes, uint8_t flags, void *context) {
  (void)flags;
  (void)context;
  if (name_bytes != 11 || memcmp(name, "grpc-status", 11) != 0) return 0;
  struct call *call = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
  if (call != NULL) call->status_ok = value_bytes == 1 && value[0] == '0';
  return 0;
}

static int on_close(nghttp2_session *session, int32_t stream, uint32_t error, void *context) {
  (void)context;
  struct call *call = nghttp2_session_get_stream_user_data(session, stream);
  if (call == NULL) return 0;
  open_count -= 1;
  bool whole = call->received == call->sent && call->in_at == 0 && call->sent > 0;
  if (error != NGHTTP2_NO_ERROR || !call->status_ok || !whole) {
    if (failures == 0) {
      fprintf(stderr, "load: a call failed: error code %u, grpc-status %s, %llu messages sent, %llu received\n", error,
              call->status_ok ? "0" : "not 0", (unsigned long long)call->sent, (unsigned long long)call->received);
    }
    if (++failures > FAILURES_MAX) exit(1);
  } else if (per_call == 1) {
    record(now_ns() - call->sent_at[0]);
  }
  if (phase != DRAINING) open_call(call);
  return 0;
}

static void tell(uint64_t now) {
  static uint64_t told_at;
  if (phase != MEASURING || now < told_at + TELL_NS) return;
  told_at = now;
  printf("at %llu %llu\n", (unsigned long long)now, (unsigned long long)measured);
  fflush(stdout);
}

static void run_until(uint64_t deadline) {
  for (;;) {
    enum wire_state state = wire_flush(&wire);
    uint64_t now = now_ns();
    if (state == WIRE_BROKEN) break;
    if (now >= deadline || (phase == DRAINING ? open_count == 0 : is_told_to_end)) return;
    tell(now);
    struct pollfd poller = {.fd = wire.fd, .events = state == WIRE_FULL ? POLLIN | POLLOUT : POLLIN};
    uint64_t wait_ns = phase == MEASURING && deadline - now > TELL_NS ? TELL_NS : deadline - now;
    int ready = poll(&poller, 1, (int)(wait_ns / 1000000) + 1);
    if (ready > 0 && (poller.revents & (POLLIN | POLLHUP | POLLERR)) && wire_read(&wire) == WIRE_BROKEN) break;
  }
  fprintf(stderr, "load: the connection was closed\n");
  exit(1);
}

static int dial(const char *host, const char *port) {
  int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
  inet_pton(AF_INET, host, &address.sin_addr);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
    perror("load: cannot connect");
    exit(1);
  }
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  fcntl(fd, F_SETFL, O_NONBLOCK);
  return fd;
}

int main(int count, char **arguments) {
  if (count != 11) {
    fprintf(stderr, "load HOST PORT AUTHORITY PATH MESSAGE_BYTES CALLS UNDER_WAY MESSAGES_PER_CALL WARM_UP_MS DURATION_MS\n");
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  signal(SIGTERM, on_term);
  authority = arguments[3];
  path = arguments[4];
  message_bytes = strtoul(arguments[5], NULL, 10);
  call_count = strtoul(arguments[6], NULL, 10);
  under_way = strtoul(arguments[7], NULL, 10);
  per_call = strtoull(arguments[8], NULL, 10);
  uint64_t warm_up_ns = strtoull(arguments[9], NULL, 10) * 1000000u;
  uint64_t duration_ns = strtoull(arguments[10], NULL, 10) * 1000000u;
  message = wire_allocate(PREFIX_BYTES + message_bytes);
  uint32_t length = htonl((uint32_t)message_bytes);
  memcpy(message + 1, &length, sizeof length);
  memset(message + PREFIX_BYTES, 'x', message_bytes);

  wire.fd = dial(arguments[1], arguments[2]);
  nghttp2_session_callbacks *callbacks;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
  nghttp2_session_client_new(&wire.session, callbacks, NULL);
  wire_settings(wire.session);
  calls = wire_allocate(call_count * sizeof *calls);
  for (size_t index = 0; index < call_count; index += 1) {
    calls[index].sent_at = wire_allocate(under_way * sizeof(uint64_t));
    open_call(&calls[index]);
  }

  run_until(now_ns() + warm_up_ns);
  phase = MEASURING;
  printf("began\n");
  fflush(stdout);
  uint64_t began = now_ns();
  run_until(began + duration_ns);
  uint64_t elapsed = now_ns() - began;
  printf("ended\n");
  fflush(stdout);
  phase = DRAINING;
  for (size_t index = 0; index < call_count; index += 1) nghttp2_session_resume_data(wire.session, calls[index].stream);
  run_until(now_ns() + (uint64_t)DRAIN_MS * 1000000u);
  printf("{\"calls\":%llu,\"failures\":%llu,\"elapsedMs\":%.3f,\"p50Us\":%.1f,\"p99Us\":%.1f}\n",
         (unsigned long long)measured, (unsigned long long)(failures + open_count), (double)elapsed / 1e6,
         percentile_us(0.50), percentile_us(0.99));
  return 0;
}
