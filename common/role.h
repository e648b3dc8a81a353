/* SPDX-License-Identifier: ISC */
#ifndef FIFE_ROLE_H
#define FIFE_ROLE_H

#include <stdint.h>

/* Kinds of processes; the list is common/role.def. */
enum role {
	ROLE_NONE = 0,
#define ROLE(n, e, name, root) ROLE_##e = (n),
#include "common/role.def"
#undef ROLE
	ROLE_MAX = 31
};

#define ROLE_BIT(r) (1u << (r))

/* Never NULL; "unknown" for a number that is no role. */
const char *role_name(enum role);
/* ROLE_NONE if there is none of that name. */
enum role role_by_name(const char *);
/* Directory below the state directory that becomes the role's root. */
const char *role_root(enum role);

/*
 * The graph of channels (common/graph.def): 1 if a process of one role may
 * hold a channel to a process of the other.
 */
int graph_connected(enum role, enum role);

#endif
