/* SPDX-License-Identifier: ISC */
#ifndef FIFE_POP3_H
#define FIFE_POP3_H

/*
 * One POP3 session from the TRANSACTION state on (RFC 1939): bytes in, bytes out, no
 * socket. The messages are those of INBOX at the session's start; deletions are carried
 * out by QUIT. Driven like imap.h.
 */

#include <stddef.h>
#include <stdint.h>

#include "mailbox/store.h"

struct evbuffer;
struct pop3;

#define POP3_HIGH_WATER (256 * 1024)
#define POP3_BAD_MAX 50

/* NULL: INBOX cannot be opened, *error says why (STORE_OK: no memory). */
struct pop3 *pop3_new(struct store *, enum store_error *error);
void pop3_free(struct pop3 *);
size_t pop3_input(struct pop3 *, const uint8_t *, size_t);
/* Brings a running RETR or TOP forward. Nonzero: there is more to do at once. */
int pop3_run(struct pop3 *, size_t unsent);
int pop3_idle(const struct pop3 *);
struct evbuffer *pop3_output(struct pop3 *);
int pop3_ended(const struct pop3 *);

#endif
