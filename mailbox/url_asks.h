/* SPDX-License-Identifier: ISC */
#ifndef FIFE_MAILBOX_URL_ASKS_H
#define FIFE_MAILBOX_URL_ASKS_H

/*
 * URLs about other users' mailboxes (RFC 4467): the question goes to mboxd and authd, and
 * their owner's process answers with a descriptor of just that part. And the session in
 * which this process answers such questions about its own.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/channel.h"

/* The channel is borrowed; NULL once it is gone, and where there is none. */
void url_asks_init(struct channel *mboxd);
/*
 * done: fd is the caller's to close, -1: the URL opens nothing. Never from inside. 0:
 * cannot be asked.
 */
uint64_t url_ask(const char *url, void (*done)(int fd, uint64_t size, void *), void *arg);
void url_ask_forget(uint64_t id);

#endif
