/* SPDX-License-Identifier: ISC */
#ifndef FIFE_OWNER_H
#define FIFE_OWNER_H

/* Has a mailbox had the same owner since then (RFC 7293)? */

#include "authd/resolve.h"

/*
 * RCLASS_LOCAL: yes, or the address is a role's (RFC 2142); RCLASS_OTHER_OWNER: no;
 * RCLASS_NO_OWNER: an alias, of whose owners there is no record; RCLASS_TEMP. Only for an
 * address that resolve_class() knows.
 */
enum rclass owner_check(const struct resolver *, const char *address, int64_t since);

#endif
