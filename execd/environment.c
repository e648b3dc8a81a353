/* SPDX-License-Identifier: ISC */
/* The environment of programs; see environment.h. */
#include "execd/environment.h"

#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"

static int
is_safe(unsigned char c)
{
	return c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z') || (c != '\0' && strchr("!@%-_=+:,./", c) != NULL);
}

static int
add(struct environment *e, const char *name, const char *value, size_t len, int clean)
{
	size_t n = strlen(name);
	char *s;

	if (e->n == ENVIRONMENT_MAX || (s = malloc(n + len + 2)) == NULL)
		return -1;
	memcpy(s, name, n);
	s[n++] = '=';
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)value[i];

		s[n++] = !clean || is_safe(c) ? (char)c : '_';
	}
	s[n] = '\0';
	e->v[e->n++] = s;
	e->v[e->n] = NULL;
	return 0;
}

static int
add_text(struct environment *e, const char *name, const char *value)
{
	return add(e, name, value, strlen(value), 1);
}

int
environment_make(struct environment *e, const struct environment_facts *f)
{
	const struct msg_exec_run *r = f->run;
	const char *at = strrchr(r->recipient, '@'), *domain, *plus;
	size_t local = at != NULL ? (size_t)(at - r->recipient) : strlen(r->recipient),
	       user;
	int bad;

	memset(e, 0, sizeof(*e));
	domain = at != NULL ? at + 1 : "";
	plus = memchr(r->recipient, '+', local);
	if (plus == r->recipient)
		plus = NULL;
	user = plus != NULL ? (size_t)(plus - r->recipient) : local;
	/* Ours first: what follows is of strangers. */
	bad = add(e, "PATH", "/usr/bin:/bin:/usr/sbin:/sbin", 29, 0) |
	      add(e, "SHELL", "/bin/sh", 7, 0) | add(e, "LC_CTYPE", "C.UTF-8", 7, 0) |
	      add(e, "HOME", f->home, strlen(f->home), 0) |
	      add(e, "USER", f->user[0] != '\0' ? f->user : r->owner,
		  f->user[0] != '\0' ? strlen(f->user) : strcspn(r->owner, "@"), 1) |
	      add(e, "LOGNAME", f->user[0] != '\0' ? f->user : r->owner,
		  f->user[0] != '\0' ? strlen(f->user) : strcspn(r->owner, "@"), 1) |
	      add_text(e, "SENDER", r->sender) | add_text(e, "RECIPIENT", r->recipient) |
	      add_text(e, "ORIGINAL_RECIPIENT", r->recipient) |
	      add_text(e, "OWNER", r->owner) | add(e, "LOCAL", r->recipient, local, 1) |
	      add(e, "MAILBOX", r->recipient, user, 1) | add_text(e, "DOMAIN", domain) |
	      add_text(e, "HOST", domain) |
	      add(e, "EXTENSION", plus != NULL ? plus + 1 : "",
		  plus != NULL ? local - user - 1 : 0, 1) |
	      add(e, "EXT", plus != NULL ? plus + 1 : "",
		  plus != NULL ? local - user - 1 : 0, 1) |
	      add_text(e, "QUEUE_ID", r->qid) | add_text(e, "COMMAND", r->command);
	if (bad) {
		environment_clear(e);
		return -1;
	}
	return 0;
}

void
environment_clear(struct environment *e)
{
	for (int i = 0; i < e->n; i++)
		free(e->v[i]);
	memset(e, 0, sizeof(*e));
}
