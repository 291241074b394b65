/*
 * Three processes A, B and C that never stop sending each other tokens while SNAPSHOTS snapshots are taken, with the
 * rules of rules.inc. Chosen with -D by scripts/model.sh:
 *
 *   LINE (A-B-C, a link of two channels each), TRIANGLE (three links), RING (three one-way channels A, B, C, A)
 *   SNAPSHOTS 1 or 2   TRANSFERS tokens sent in all   ANY_ORDER frames of different calls overtake at the application
 *   INITIATOR  the first snapshot is started at A alone, the second at B; otherwise each at all three
 *   ABORT    the coordinator may abort the first snapshot at any time
 *   CRASH    C dies once, at any time, and comes back as a new incarnation with new links
 *   CERTIFIED  a snapshot completes only when its certificate says so; else the certificate must never be invalid
 *   LOSS     the connection of A and B breaks once, at any time, and is resumed
 *
 * Everything is counted up and bounded, so every run comes to rest; a rest in which some snapshot has not ended is an
 * invalid end state, because the coordinator has not reached its own end.
 */
#define PROCESSES 3
#define A 0
#define B 1
#define C 2

/*
 * Channels 2l and 2l+1 are those of the link between process l and the next one. With CRASH, the links of C follow once
 * more, for its second incarnation.
 */
#ifdef RING
#define CHANNELS 3
#define FROM(c) (c)
#define TO(c) (((c) + 1) % 3)
#else
#ifdef TRIANGLE
#define LINKED 6
#else
#define LINKED 4
#endif
#ifdef CRASH
#define CHANNELS (2 * LINKED - 2)
#define BASE(c) ((c) < LINKED -> (c) : (c) - LINKED + 2)
#else
#define CHANNELS LINKED
#define BASE(c) (c)
#endif
#define FROM(c) ((BASE(c) + 1) / 2 % 3)
#define TO(c) ((BASE(c) / 2 + 1 - BASE(c) % 2) % 3)
#endif
/* Each process has as many at the beginning as can be sent at all, so that none ever waits for one. */
#define TOKENS TRANSFERS
#define FRAMES (TRANSFERS + SNAPSHOTS)
#if FRAMES > 5
#error "DELIVER knows five frames a channel"
#endif
#define NEW(c) ((c) >= LINKED)
#ifdef CRASH
/* The end of the channel at p is that of the incarnation of p which lives. */
#define livingEnd(p, c) ((p) != C || NEW(c) == incarnation)
#else
#define livingEnd(p, c) true
#endif

/* SnapshotState.stage, as far as the cut knows it. */
#define WAITING 0
#define GATHERING 1
#define COMPLETED 2
#define FAILED 3
#define ABORTED 4

byte stage[SNAPSHOTS];
bool asked[PROCESSES * SNAPSHOTS];
byte transfersLeft = TRANSFERS;
bool ready;

#ifdef LOSS
/* The connection of A (dialler) and B: UP, BROKEN for A, and taken by B with a welcome under way. */
#define UP 0
#define BROKEN 1
#define WELCOMED 2
byte connection;
bool lost;
#define connected(c) ((c) > 1 || connection == UP || ((c) == 1 && connection == WELCOMED))
#define readable(c) ((c) != 1 || connection == UP)
#else
#define readable(c) true
#endif

#ifdef CRASH
byte incarnation;
bool down;
byte memberIncarnation[SNAPSHOTS];
bool cutReported[PROCESSES * SNAPSHOTS];
bool closedReported[SNAPSHOTS * CHANNELS];
#endif

#if SNAPSHOTS == 2
#define EACH_SNAPSHOT(rule, p) rule(p, 0) rule(p, 1)
#define EACH_SNAPSHOT_ON(rule, c) rule(0, c) rule(1, c)
#define ALL_ENDED (stage[0] > GATHERING && stage[1] > GATHERING)
#else
#define EACH_SNAPSHOT(rule, p) rule(p, 0)
#define EACH_SNAPSHOT_ON(rule, c) rule(0, c)
#define ALL_ENDED (stage[0] > GATHERING)
#endif

#include "rules.inc"
#include "faults.inc"
#include "judge.inc"

/* LinkReceiver.receive: duplicates are dropped, a gap would end the link. */
inline takeIn(p, c) {
  assert(n1 <= arrived[c] + 1);
  if
  :: n1 <= arrived[c]
  :: n1 > arrived[c] && k1 == APPLICATION -> frameArrived(c, n1)
  :: n1 > arrived[c] && k1 != APPLICATION -> markerArrived(p, c, n1, k1 - 1)
  fi
}

#define ARRIVE(p, c) \
  :: d_step { incoming[c] && readable(c) && nempty(wire[c]) -> wire[c] ? k1, n1; takeIn(p, c); skip }

#ifdef ANY_ORDER
#define DELIVER_ONE(p, c, n) :: d_step { incoming[c] && (deliverable(c) & BIT(n)) != 0 -> noteDelivery(p, c, BIT(n)); skip }
#define DELIVER(p, c) DELIVER_ONE(p, c, 1) DELIVER_ONE(p, c, 2) DELIVER_ONE(p, c, 3) DELIVER_ONE(p, c, 4) DELIVER_ONE(p, c, 5)
#else
#define DELIVER(p, c) :: d_step { incoming[c] && deliverable(c) != 0 -> noteDelivery(p, c, lowest(deliverable(c))); skip }
#endif

/* One transfer goes by one channel: a configuration for each channel, and together they cover every run. */
#ifdef ONLY_CHANNEL
#define carries(c) ((c) == ONLY_CHANNEL)
#else
#define carries(c) true
#endif
#define SEND(p, c) \
  :: d_step { transfersLeft > 0 && carries(c) && outgoing[c] -> transfersLeft--; send(p, c); skip }

#ifdef NO_MARKER_BEFORE_SEND
#define OWED(s, c) :: d_step { markerOwed[SC(s, c)] -> markerOwed[SC(s, c)] = false; sendMarker(c, s); skip }
#else
#define OWED(s, c)
#endif

#define IN(p, c) ARRIVE(p, c) DELIVER(p, c)
#define OUT(p, c) SEND(p, c) EACH_SNAPSHOT_ON(OWED, c)

/* A capture asked for by `start` may as well begin where it ends: until then nothing tells CUTTING from IDLE. */
#define CUT(p, s) \
  :: d_step { phase[PS(p, s)] == CUTTING || phase[PS(p, s)] == IDLE && asked[PS(p, s)] && alive(p) -> \
    asked[PS(p, s)] = false; \
    captured(p, s); \
    skip }
/* The coordinator's `ended` after a failure or an abort, which reaches each process when it likes. */
#define END(p, s) \
  :: d_step { stage[s] > GATHERING && alive(p) && phase[PS(p, s)] != ENDED -> asked[PS(p, s)] = false; end(p, s); skip }

#define SNAPSHOT(p) EACH_SNAPSHOT(CUT, p) EACH_SNAPSHOT(END, p)

hidden byte k1, n1;

/* What happens when every snapshot has ended is of no interest. */
active proctype ProcessA() provided (ready && !ALL_ENDED) {
  endRest: do
#ifdef RING
  IN(A, 2) OUT(A, 0)
#else
  IN(A, 1) OUT(A, 0)
#ifdef TRIANGLE
  IN(A, 4) OUT(A, 5)
#ifdef CRASH
  IN(A, 8) OUT(A, 9)
#endif
#endif
#endif
  SNAPSHOT(A)
  od
}

active proctype ProcessB() provided (ready && !ALL_ENDED) {
  endRest: do
#ifdef RING
  IN(B, 0) OUT(B, 1)
#else
  IN(B, 0) OUT(B, 1)
  IN(B, 3) OUT(B, 2)
#ifdef CRASH
  IN(B, LINKED + 1) OUT(B, LINKED)
#endif
#endif
  SNAPSHOT(B)
  od
}

active proctype ProcessC() provided (ready && !ALL_ENDED) {
  endRest: do
#ifdef RING
  IN(C, 1) OUT(C, 2)
#else
  IN(C, 2) OUT(C, 3)
#ifdef TRIANGLE
  IN(C, 5) OUT(C, 4)
#endif
#ifdef CRASH
  IN(C, LINKED) OUT(C, LINKED + 1)
#ifdef TRIANGLE
  IN(C, 9) OUT(C, 8)
#endif
#endif
#endif
  SNAPSHOT(C)
  od
}

inline launch(s) {
  stage[s] = GATHERING;
#ifdef CRASH
  memberIncarnation[s] = incarnation;
#endif
#ifdef INITIATOR
  /* The classical wave: one process begins, markers reach the others. */
  asked[PS(s, s)] = true
#else
  for (k0 : 0 .. PROCESSES - 1) { asked[PS(k0, s)] = true }
#endif
}

#ifdef ABORT
#define ABORTING(s) :: d_step { s == 0 && stage[s] == GATHERING -> stage[s] = ABORTED }
#else
#define ABORTING(s)
#endif

/* Without a crash the instant of the start is of no consequence, for each process takes its start when it likes. */
#ifdef CRASH
#define LAUNCH(s) :: d_step { stage[s] == WAITING -> launch(s); skip }
#else
#define LAUNCH(s)
#endif

#define COORDINATE(s) \
  LAUNCH(s) \
  :: d_step { stage[s] == GATHERING && nothingMissing(s) -> certify(s); skip } \
  ABORTING(s)

active proctype Coordinator() {
  d_step {
    for (k0 : 0 .. CHANNELS - 1) {
#ifdef CRASH
      outgoing[k0] = !NEW(k0);
      incoming[k0] = !NEW(k0)
#else
      outgoing[k0] = true;
      incoming[k0] = true
#endif
    }
    balance[A] = TOKENS;
    balance[B] = TOKENS;
    balance[C] = TOKENS;
#ifndef CRASH
    for (s0 : 0 .. SNAPSHOTS - 1) { launch(s0) }
#endif
    ready = true
  }
  do
  COORDINATE(0)
#if SNAPSHOTS == 2
  COORDINATE(1)
#endif
  :: ALL_ENDED -> break
  od
}
