/*
 * One link between a dialler and an acceptor over CONNECTIONS connections, of which all but the last may break or be
 * given up at any moment: LinkSender and LinkReceiver of packages/protocol/src/link, and the handshake of the agent's
 * mesh. Each side sends FRAMES numbered frames. The two ends see a break at different times: until then they go on
 * reading what had come through, and what they write is lost.
 *
 *   LATE_READS  what a connection had brought is read even after another one has taken its place (more than the agent
 *               does, which destroys the old socket first)
 *
 * At rest both sides must have all frames; anything else is an invalid end state. No duplicate is taken, no gap seen,
 * and no end finds the other's claims impossible, for each of these ends the link and its calls.
 */
#define DIALLER 0
#define ACCEPTOR 1
/* Channel 0 leads to the acceptor, channel 1 to the dialler, as the link's ids say. */
#define TO_ACCEPTOR 0
#define TO_DIALLER 1
#define NONE 255

#define WIRE(g, channel) ((g) * 2 + (channel))
#define LAST (CONNECTIONS - 1)

mtype = { numbered, acknowledge, hello, welcome };

chan wire[CONNECTIONS * 2] = [2 * FRAMES + 2] of { mtype, byte };
bool broken[CONNECTIONS];
bool closedByDialler[CONNECTIONS];
bool closedByAcceptor[CONNECTIONS];

/* LinkSender, one a channel. */
chan kept[2] = [FRAMES] of { byte };
byte lastNumber[2];
byte acknowledged[2];

/* LinkReceiver, one a channel. */
byte receivedThrough[2];
byte acknowledgedThrough[2];

/* The dialler: the connection it makes or has, and whether it is welcome there. */
byte dialled = NONE;
byte dials;
bool attached;
/* The acceptor: the connection its link is on, and the newest it has taken. */
byte taken = NONE;
byte newest = NONE;

hidden byte n1, k1, g1, drop1;
hidden mtype type1;

inline emptyWire(w) {
  do
  :: nempty(wire[w]) -> wire[w] ? _, _
  :: empty(wire[w]) -> break
  od
}

inline write(g, channel, type, number) {
  if
  :: g != NONE && !broken[g] && !closedByDialler[g] && !closedByAcceptor[g] -> wire[WIRE(g, channel)] ! type, number
  :: else
  fi
}

inline acknowledgeThrough(channel, through) {
  /* `beyond`: more than was ever sent. */
  assert(through <= lastNumber[channel]);
  if
  :: through > acknowledged[channel] ->
#ifdef ACKNOWLEDGE_DROPS_ONE_MORE
    drop1 = through - acknowledged[channel] + 1;
#else
    drop1 = through - acknowledged[channel];
#endif
    do
    :: drop1 > 0 && nempty(kept[channel]) -> kept[channel] ? _; drop1--
    :: drop1 == 0 || empty(kept[channel]) -> break
    od;
    acknowledged[channel] = through
  :: else /* stale */
  fi
}

inline replay(g, channel, through) {
  /* Outside of this the link is given up: frames are lost that the peer lacks. */
  assert(through <= lastNumber[channel] && through >= acknowledged[channel]);
#ifndef REPLAY_ALL_KEPT
  acknowledgeThrough(channel, through);
#endif
  k1 = len(kept[channel]);
#ifdef RESUME_OFF_BY_ONE
  if
  :: k1 > 0 -> kept[channel] ? n1; kept[channel] ! n1; k1--
  :: else
  fi;
#endif
  do
  :: k1 > 0 ->
    kept[channel] ? n1;
    kept[channel] ! n1;
    write(g, channel, numbered, n1);
    k1--
  :: else -> break
  od;
#ifdef RESUME_OFF_BY_ONE
  do
  :: nempty(kept[channel]) && kept[channel] ? [eval(acknowledged[channel] + 1)] -> break
  :: nempty(kept[channel]) && !(kept[channel] ? [eval(acknowledged[channel] + 1)]) -> kept[channel] ? n1; kept[channel] ! n1
  :: empty(kept[channel]) -> break
  od;
#endif
  n1 = 0
}

inline receive(channel, number) {
#ifdef DUPLICATES_TAKEN
  receivedThrough[channel]++;
  assert(number == receivedThrough[channel])
#else
  if
  :: number <= receivedThrough[channel] /* duplicate */
  :: else ->
    /* `gap` */
    assert(number == receivedThrough[channel] + 1);
    receivedThrough[channel] = number
  fi
#endif
}

/* A frame on a connection that is up: `mine` is the channel that leads here. */
#define READ(g, mine) \
  wire[WIRE(g, mine)] ? type1, n1; \
  if \
  :: type1 == numbered -> receive(mine, n1) \
  :: type1 == acknowledge -> acknowledgeThrough(1 - mine, n1) \
  :: else \
  fi; \
  n1 = 0

#ifdef UNSENT_NOT_KEPT
#define keeps(g) ((g) != NONE && !broken[g])
#else
#define keeps(g) true
#endif

inline send(g, channel) {
  lastNumber[channel]++;
  if
  :: keeps(g) -> kept[channel] ! lastNumber[channel]
  :: else
  fi;
  write(g, channel, numbered, lastNumber[channel])
}

inline sendAcknowledgement(g, channel) {
  acknowledgedThrough[channel] = receivedThrough[channel];
#ifdef ACKNOWLEDGED_BEFORE_RECEIVED
  n1 = receivedThrough[channel] + (receivedThrough[channel] < lastNumber[channel]);
#else
  n1 = receivedThrough[channel];
#endif
  write(g, 1 - channel, acknowledge, n1);
  n1 = 0
}

#define upTo(g) (g != NONE && !closedByDialler[g] && attached)

active proctype Dialler() {
  endRest: do
  :: d_step { dialled == NONE && dials < CONNECTIONS -> dialled = dials; dials++; write(dialled, TO_ACCEPTOR, hello, receivedThrough[TO_DIALLER]); skip }
  :: d_step { dialled != NONE && !attached && wire[WIRE(dialled, TO_DIALLER)] ? [welcome, _] ->
      wire[WIRE(dialled, TO_DIALLER)] ? _, n1;
      attached = true;
      acknowledgedThrough[TO_DIALLER] = receivedThrough[TO_DIALLER];
      replay(dialled, TO_ACCEPTOR, n1);
      skip }
  :: d_step { dialled != NONE && attached && nempty(wire[WIRE(dialled, TO_DIALLER)]) -> READ(dialled, TO_DIALLER); skip }
  :: d_step { lastNumber[TO_ACCEPTOR] < FRAMES -> g1 = (attached -> dialled : NONE);
      send(g1, TO_ACCEPTOR); skip }
  :: d_step { dialled != NONE && attached && acknowledgedThrough[TO_DIALLER] < receivedThrough[TO_DIALLER] ->
      sendAcknowledgement(dialled, TO_DIALLER); skip }
  /* It sees the break, or the handshake takes too long: `socket.destroy()`. What it wrote may still come through. */
  :: d_step { dialled != NONE && (broken[dialled] || closedByAcceptor[dialled] || !attached && dialled < LAST) ->
      closedByDialler[dialled] = true;
      emptyWire(WIRE(dialled, TO_DIALLER));
      dialled = NONE;
      attached = false }
  od
}

/* Mesh.#accept, #admit and #run, in one turn of the event loop. */
inline take(g) {
  wire[WIRE(g, TO_ACCEPTOR)] ? _, n1;
  if
#ifndef STALE_HELLO_TAKEN
  :: newest != NONE && g < newest -> closedByAcceptor[g] = true; emptyWire(WIRE(g, TO_ACCEPTOR))
#endif
  :: else ->
    if
    :: taken != NONE && taken != g ->
      closedByAcceptor[taken] = true;
#ifndef LATE_READS
      emptyWire(WIRE(taken, TO_ACCEPTOR))
#endif
    :: else
    fi;
    taken = g;
    newest = g;
    write(g, TO_DIALLER, welcome, receivedThrough[TO_ACCEPTOR]);
    acknowledgedThrough[TO_ACCEPTOR] = receivedThrough[TO_ACCEPTOR];
    replay(g, TO_DIALLER, n1)
  fi
}

#ifdef LATE_READS
#define mayRead(g) (taken == g || closedByAcceptor[g])
#else
#define mayRead(g) (taken == g)
#endif

#define CONNECTION(g) \
  :: d_step { !closedByAcceptor[g] && wire[WIRE(g, TO_ACCEPTOR)] ? [hello, _] -> take(g); skip } \
  :: d_step { mayRead(g) && nempty(wire[WIRE(g, TO_ACCEPTOR)]) && !(wire[WIRE(g, TO_ACCEPTOR)] ? [hello, _]) -> READ(g, TO_ACCEPTOR); skip } \
  /* It sees the break. */ \
  :: d_step { (broken[g] || closedByDialler[g]) && !closedByAcceptor[g] && (taken == g || nempty(wire[WIRE(g, TO_ACCEPTOR)])) -> \
      closedByAcceptor[g] = true; \
      emptyWire(WIRE(g, TO_ACCEPTOR)); \
      taken = (taken == g -> NONE : taken) }

active proctype Acceptor() {
  endRest: do
  CONNECTION(0)
  CONNECTION(1)
#if CONNECTIONS > 2
  CONNECTION(2)
#endif
#if CONNECTIONS > 3
  CONNECTION(3)
#endif
  :: d_step { newest != NONE && lastNumber[TO_DIALLER] < FRAMES -> send(taken, TO_DIALLER); skip }
  :: d_step { taken != NONE && acknowledgedThrough[TO_ACCEPTOR] < receivedThrough[TO_ACCEPTOR] ->
      sendAcknowledgement(taken, TO_ACCEPTOR); skip }
  od
}

#define BREAK(g) :: d_step { g < LAST && dials > g && !broken[g] && !(closedByDialler[g] && closedByAcceptor[g]) -> broken[g] = true }

active proctype Network() {
  endRest: do
  BREAK(0)
#if CONNECTIONS > 2
  BREAK(1)
#endif
#if CONNECTIONS > 3
  BREAK(2)
#endif
  od
}

active proctype Observer() {
  receivedThrough[TO_ACCEPTOR] == FRAMES && receivedThrough[TO_DIALLER] == FRAMES
}
