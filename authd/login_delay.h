/* SPDX-License-Identifier: ISC */
#ifndef FIFE_LOGIN_DELAY_H
#define FIFE_LOGIN_DELAY_H

/*
 * When accounts were last logged in to by POP3, for LOGIN-DELAY (RFC 2449, 6.5): it
 * holds over connections and clients. A bounded table; one that is full forgets the
 * longest ago. Times are monotonic milliseconds.
 */

#include <stddef.h>
#include <stdint.h>

#define LOGIN_DELAY_ENTRIES_MAX 65536

struct login_delay;

struct login_delay *login_delay_new(void); /* NULL: no memory */
void login_delay_free(struct login_delay *);
/* Has the account waited long enough? NULL has no memory of anybody. */
int login_delay_over(
    const struct login_delay *, const char *address, uint64_t now_ms, uint64_t delay_ms);
/* It has logged in. Forgets those whose delay is over. */
void login_delay_mark(
    struct login_delay *, const char *address, uint64_t now_ms, uint64_t delay_ms);
size_t login_delay_count(const struct login_delay *);

#endif
