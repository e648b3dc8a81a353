/* SPDX-License-Identifier: ISC */
#ifndef FIFE_LISTD_DECIDE_H
#define FIFE_LISTD_DECIDE_H

/* What becomes of a message for the members of a list. Pure. */

#include <stdint.h>

#include "common/msg.h"
#include "listd/post.h"

enum decision {
	DECIDE_POST,
	DECIDE_HOLD,   /* an owner looks at it */
	DECIDE_REJECT, /* its sender hears why */
	DECIDE_DROP    /* nobody hears of it */
};

struct verdict_of_list {
	enum decision what;
	const char *enhanced; /* of a rejection */
	char why[200];
};

/* standing: LIST_IS_... of the author; sender: the reverse-path. */
void decide(const struct listconf *, uint8_t standing, const struct post_facts *,
    const char *sender, int junk, uint64_t size, struct verdict_of_list *);

#endif
