/* SPDX-License-Identifier: ISC */
#ifndef FIFE_MANAGESIEVE_ENGINE_H
#define FIFE_MANAGESIEVE_ENGINE_H

/*
 * One ManageSieve session from the authenticated state on (RFC 5804, 2.5 to 2.13): bytes
 * in, bytes out, no socket. Driven like imap.h.
 */

#include <stddef.h>
#include <stdint.h>

#include "mailbox/store.h"

struct evbuffer;
struct managesieve;

#define MANAGESIEVE_HIGH_WATER (256 * 1024)
#define MANAGESIEVE_BAD_MAX 50

/* NULL: no memory. owner is copied. */
struct managesieve *managesieve_new(struct store *, const char *owner);
void managesieve_free(struct managesieve *);
size_t managesieve_input(struct managesieve *, const uint8_t *, size_t);
struct evbuffer *managesieve_output(struct managesieve *);
int managesieve_ended(const struct managesieve *);

#endif
