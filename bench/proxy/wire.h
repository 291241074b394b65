/* One HTTP/2 connection on a non-blocking socket: what nghttp2 wants to send is gathered into one write. */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WIRE_OUT_BYTES (256 * 1024)
#define WIRE_IN_BYTES (256 * 1024)
/* Of a stream and of the connection: wide enough that flow control is never what is measured. */
#define WIRE_WINDOW_BYTES (4 * 1024 * 1024)

struct wire {
  int fd;
  nghttp2_session *session;
  size_t filled;
  size_t written;
  /* Of a chunk that did not fit any more; nghttp2 keeps it until it is asked for the next one. */
  const uint8_t *rest;
  size_t rest_bytes;
  uint8_t out[WIRE_OUT_BYTES];
};

enum wire_state { WIRE_IDLE, WIRE_FULL, WIRE_BROKEN };

static void wire_fill(struct wire *wire) {
  for (;;) {
    if (wire->rest_bytes == 0) {
      ssize_t got = nghttp2_session_mem_send(wire->session, &wire->rest);
      if (got <= 0) return;
      wire->rest_bytes = (size_t)got;
    }
    size_t room = WIRE_OUT_BYTES - wire->filled;
    size_t some = wire->rest_bytes < room ? wire->rest_bytes : room;
    memcpy(wire->out + wire->filled, wire->rest, some);
    wire->filled += some;
    wire->rest += some;
    wire->rest_bytes -= some;
    if (wire->rest_bytes > 0) return;
  }
}

/* WIRE_FULL: the socket takes no more now; call again when it is writable. */
static enum wire_state wire_flush(struct wire *wire) {
  for (;;) {
    wire_fill(wire);
    if (wire->filled == 0) return WIRE_IDLE;
    while (wire->written < wire->filled) {
      ssize_t some = write(wire->fd, wire->out + wire->written, wire->filled - wire->written);
      if (some < 0 && errno == EINTR) continue;
      if (some < 0) return errno == EAGAIN ? WIRE_FULL : WIRE_BROKEN;
      wire->written += (size_t)some;
    }
    wire->filled = wire->written = 0;
  }
}

/* Gives what has arrived to nghttp2. One read: there is more when the socket is still readable. */
static enum wire_state wire_read(struct wire *wire) {
  static uint8_t in[WIRE_IN_BYTES];
  ssize_t got = read(wire->fd, in, sizeof in);
  if (got < 0) return errno == EAGAIN || errno == EINTR ? WIRE_IDLE : WIRE_BROKEN;
  if (got == 0) return WIRE_BROKEN;
  ssize_t taken = nghttp2_session_mem_recv(wire->session, in, (size_t)got);
  return taken == got ? WIRE_IDLE : WIRE_BROKEN;
}

/* To be sent first by both sides. */
static void wire_settings(nghttp2_session *session) {
  nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1000},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WIRE_WINDOW_BYTES},
  };
  nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, 2);
  nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, WIRE_WINDOW_BYTES);
}

#define WIRE_HEADER(name, value)                                                                                       \
  {(uint8_t *)(name), (uint8_t *)(value), strlen(name), strlen(value),                                                 \
   NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE}

static void *wire_allocate(size_t bytes) {
  void *memory = calloc(1, bytes);
  if (memory == NULL) {
    fprintf(stderr, "out of memory\n");
    exit(1);
  }
  return memory;
}

#endif
