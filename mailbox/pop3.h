/* SPDX-License-Identifier: ISC */
#ifndef FIFE_POP3_H
#define FIFE_POP3_H

/*
 * One POP3 session from the TRANSACTION state on (RFC 1939): bytes in, bytes out, no
 * socket. The first line is pop3d's (common/pop3/pop3_hello.h), the rest the client's;
 * the reply to that line is the one to the client's login. The messages are those of the
 * maildrop (pop3_maildrop.h) at the session's start; deletions are carried out by
 * QUIT. Driven like imap.h.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mailbox/store.h"

struct evbuffer;
struct pop3;

#define POP3_HIGH_WATER (256 * 1024)
#define POP3_BAD_MAX 50

/*
 * folders: as the user has set it (maildrop_open()). lock: asked before the maildrop is
 * opened, whether nobody else has it; NULL: nobody has. A maildrop in use, or one that
 * cannot be opened, is refused to the client. NULL: no memory.
 */
struct pop3 *pop3_new(struct store *, const char *folders, bool (*lock)(struct pop3 *));
void pop3_free(struct pop3 *);
size_t pop3_input(struct pop3 *, const uint8_t *, size_t);
/* Brings a running RETR or TOP forward. Nonzero: there is more to do at once. */
int pop3_run(struct pop3 *, size_t unsent);
int pop3_idle(const struct pop3 *);
struct evbuffer *pop3_output(struct pop3 *);
int pop3_ended(const struct pop3 *);

#endif
