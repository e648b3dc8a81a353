/* SPDX-License-Identifier: ISC */
/* Commands of the site; see programs.h. */
#include "authd/programs.h"

#include <string.h>

#include "authd/auth.h"
#include "common/compat/compat.h"

#define PROGRAMS_MAX 64

struct program {
	char name[64];
	int has_user;
};

static struct program programs[PROGRAMS_MAX], coming[PROGRAMS_MAX];
static size_t n_programs, n_coming;

void
programs_conf_begin(void)
{
	n_coming = 0;
}

void
programs_conf_add(const struct msg_conf_command *m)
{
	if (n_coming == PROGRAMS_MAX)
		return;
	strlcpy(coming[n_coming].name, m->name, sizeof(coming[0].name));
	coming[n_coming++].has_user = m->uid != 0;
}

void
programs_conf_end(void)
{
	memcpy(programs, coming, sizeof(programs));
	n_programs = n_coming;
}

int
programs_has(const char *target, int *has_user)
{
	for (size_t i = 0; target[0] == '|' && i < n_programs; i++)
		if (strcmp(programs[i].name, target + 1) == 0) {
			*has_user = programs[i].has_user;
			return 1;
		}
	return 0;
}

const char *
programs_check(const char *target, int owner_has_mailbox)
{
	int has_user;

	if (!programs_has(target, &has_user))
		return "there is no such command in fife.conf";
	if (!has_user && !owner_has_mailbox)
		return "this command runs as the owner of a mailbox, which an alias is "
		       "not: give it a user in fife.conf";
	return NULL;
}

void
programs_answer(struct channel *ch, struct msg *m)
{
	struct msg_exec_who_is a = { .status = MSG_DENIED };
	struct user u;
	int is_user;

	switch (resolve_command(
	    &auth.resolver, m->p.exec_who.owner, m->p.exec_who.command, &u, &is_user)) {
	case RESOLVE_OK:
		a.status = MSG_OK;
		if (is_user) {
			a.uid = u.uid;
			strlcpy(a.mailbox, u.mailbox, sizeof(a.mailbox));
		}
		break;
	case RESOLVE_TEMP:
		a.status = MSG_TEMP;
		strlcpy(
		    a.text, "the directory of users cannot be read now", sizeof(a.text));
		break;
	default:
		strlcpy(
		    a.text, "it is no target of that address any more", sizeof(a.text));
		break;
	}
	channel_send(ch, MSG_AUTHD_EXECD_WHO_IS, m->id, &a, -1);
}
