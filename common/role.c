/* SPDX-License-Identifier: ISC */
/* Names of roles and the graph of channels, from role.def and graph.def. */
#include "common/role.h"

#include <stddef.h>
#include <string.h>

static const struct {
	enum role role;
	const char *name;
	const char *root;
} roles[] = {
#define ROLE(n, e, name, root) { ROLE_##e, name, root },
#include "common/role.def"
#undef ROLE
};

static const struct {
	enum role a;
	enum role b;
} graph[] = {
#define CHANNEL(a, b) { ROLE_##a, ROLE_##b },
#include "common/graph.def"
#undef CHANNEL
};

#define N(a) (sizeof(a) / sizeof((a)[0]))

const char *
role_name(enum role role)
{
	for (size_t i = 0; i < N(roles); i++)
		if (roles[i].role == role)
			return roles[i].name;
	return "unknown";
}

const char *
role_root(enum role role)
{
	for (size_t i = 0; i < N(roles); i++)
		if (roles[i].role == role)
			return roles[i].root;
	return "empty";
}

enum role
role_by_name(const char *name)
{
	for (size_t i = 0; i < N(roles); i++)
		if (strcmp(roles[i].name, name) == 0)
			return roles[i].role;
	return ROLE_NONE;
}

int
graph_connected(enum role a, enum role b)
{
	for (size_t i = 0; i < N(graph); i++)
		if ((graph[i].a == a && graph[i].b == b) ||
		    (graph[i].a == b && graph[i].b == a))
			return 1;
	return 0;
}
