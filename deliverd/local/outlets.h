/* SPDX-License-Identifier: ISC */
#ifndef FIFE_OUTLETS_H
#define FIFE_OUTLETS_H

/*
 * What the scripts of a recipient's mailboxes send. A mailbox process may have been
 * taken over by a message: how much goes out for one that comes in, and from whom, is
 * decided here and by queued, not there.
 */

#include "common/channel.h"

#define OUTLETS_REDIRECTS_MAX 32 /* of one recipient */
#define OUTLETS_MESSAGES_MAX 16
#define OUTLETS_SIZE_MAX (240 * 1024) /* octets of one message */

struct outlet {
	struct msg_outlet m;
	int fd;
	char *list; /* of a list's post, else NULL */
};

struct outlets {
	struct outlet v[OUTLETS_MESSAGES_MAX];
	size_t n;
	size_t n_redirects; /* of the message as it is */
	size_t n_replies;
	int lost; /* one that could not be kept: all of it is tried again */
};

/* Counts it, when it may be. sender: of the message that came. */
int outlets_allowed(struct outlets *, const struct msg_outlet *, const char *sender);
/* Takes fd. */
void outlets_add(struct outlets *, const struct msg_outlet *, int fd);
/* A post of a list, as common/proto/listpost.h has it; takes fd. */
void outlets_add_post(
    struct outlets *, const struct msg_outlet *, int fd, const char *list);
/* Hands them to queued, before the result. -1: it cannot be. */
int outlets_send(struct outlets *, struct channel *queued, uint64_t job, uint32_t rcpt);
void outlets_clear(struct outlets *);

#endif
