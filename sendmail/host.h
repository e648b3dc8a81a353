/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SENDMAIL_HOST_H
#define FIFE_SENDMAIL_HOST_H

/* Which host's suite this is: the few lines of fife.conf(5) that a user's program needs.
 * The whole grammar is fifed's; a line that is not understood is passed over. */

#include <stddef.h>

struct host {
	char conf[1024];  /* the file */
	char state[1024]; /* absolute */
	char domain[256]; /* for addresses without one, as smtpd(8) adds it */
	char name[256];
};

/* conf NULL: FIFE_CONF, or the installed one. Without a readable file the defaults hold,
 * and FIFE_STATE may name the state directory. 0, or -1: a path is too long. */
int host_find(const char *conf, struct host *);
/* From memory, for tests. */
void host_parse(struct host *, const char *text, size_t len);

#endif
