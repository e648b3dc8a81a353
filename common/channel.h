/* SPDX-License-Identifier: ISC */
#ifndef FIFE_CHANNEL_H
#define FIFE_CHANNEL_H

/*
 * A channel is a Unix stream socket to one other process of the suite that
 * carries catalogue messages (common/msg.def) and nothing else. The first
 * message each way is HELLO with version, role and instance. What does not fit
 * the catalogue (type, direction, length, payload, descriptor) breaks the
 * channel: one log line, the socket is closed, every waiting question is
 * answered with NULL, and the owner is told. Nothing that a peer sends ends
 * this process.
 */

#include <stdint.h>

#include "common/msg.h"

struct event_base;
struct channel;

/* Any message that is not an answer to a question of ours. m and what it
 * borrows die on return. */
typedef void (*channel_message_cb)(struct channel *, struct msg *m, void *arg);
/* The channel is broken or at its end, all waiters have been told; it is
 * freed after this returns. */
typedef void (*channel_lost_cb)(struct channel *, const char *why, void *arg);
/* The answer to a question; NULL: the peer is gone or the deadline has passed.
 * Called once, but for F_PART answers, which precede the last. Never called
 * from inside channel_ask(). */
typedef void (*channel_answer_cb)(struct msg *m, void *arg);

/*
 * Takes fd (made non-blocking). self and instance are what we say, peer is who
 * must be there. NULL: no memory (fd is closed).
 */
struct channel *channel_new(struct event_base *, int fd, enum role self,
    uint32_t instance, enum role peer, channel_message_cb, channel_lost_cb, void *arg);
/* Not from inside its own callbacks' answer of channel_lost_cb. Waiters are
 * NOT called. NULL is fine. */
void channel_free(struct channel *);

/*
 * Queue a message; payload is the struct msg_X of the type. fd: -1 or a
 * descriptor that is taken (closed here in any case). id: of the request that
 * this answers, or 0. Returns 0, or -1: payload beyond its bounds, queue of the
 * channel full, or channel broken already. Sent from the event loop, many
 * messages with one system call.
 */
int channel_send(
    struct channel *, enum msg_type, uint64_t id, const void *payload, int fd);

/*
 * Ask: send with a fresh id and call cb with the answer, or with NULL after
 * timeout_ms. Returns the id, or 0 if it could not be sent (cb is not called).
 */
uint64_t channel_ask(struct channel *, enum msg_type, const void *payload, int fd,
    uint32_t timeout_ms, channel_answer_cb cb, void *arg);
/* The asker is gone: forget its question (a late answer is dropped). id 0 and
 * unknown ids are fine. ch may be NULL. */
void channel_forget(struct channel *ch, uint64_t id);

/*
 * Ask and wait, for the rare callers that cannot return to the loop (signing
 * inside a handshake). Other messages that come meanwhile are dispatched as
 * usual. On success 0 and *m holds the answer, whose F_BYTES stay valid until
 * the next use of the channel; -1: lost or deadline passed.
 */
int channel_ask_wait(struct channel *, enum msg_type, const void *payload,
    uint32_t timeout_ms, struct msg *m);

enum role channel_role(const struct channel *);
uint32_t channel_instance(const struct channel *); /* as the peer's HELLO said */
/* Never used twice in a process: remember this, not the pointer, across waits. */
uint64_t channel_serial(const struct channel *);
/* The live channel of that serial number, or NULL. */
struct channel *channel_find(uint64_t serial);
/* Octets queued and not sent yet. */
size_t channel_queued(const struct channel *);
void channel_set_arg(struct channel *, void *);
void *channel_arg(const struct channel *);
/* What is sent may wait up to ms for more to share its system call: for what nobody
 * waits for. -1: no memory, it stays as it was. */
int channel_set_lazy(struct channel *, uint32_t ms);
/* What waits so goes out with this turn of the loop. */
void channel_hurry(struct channel *);
/* Send what is queued now, waiting at most timeout_ms; for last words. */
void channel_flush(struct channel *, uint32_t timeout_ms);
/* The peer broke a rule that the catalogue cannot express: as if decoding had
 * failed. The channel dies from the loop's top, not at once. */
void channel_break(struct channel *, const char *why);

#endif
