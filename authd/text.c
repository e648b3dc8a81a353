/* SPDX-License-Identifier: ISC */
/* dump and load of the directory; see text.h. */
#include "authd/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "authd/auth.h"
#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"
#include "common/proto/routeurl.h"

#define VALUE_MAX 32768
#define LOAD_MAX (64u * 1024 * 1024)
#define LINE_WORDS_MAX 1024

static void
dump_user(struct ctl *c, const char *key, const char *value, int secrets)
{
	struct user u;

	if (user_decode(key, value, &u) == -1)
		return;
	ctl_text(c,
	    "user %s uid=%u disabled=%d quota=%llu forward=%s forward-keep=%d created=%lld%s%s%s%s%s%s",
	    key, u.uid, u.disabled, (unsigned long long)u.quota, u.forward, u.forward_keep,
	    (long long)u.created, secrets && u.password.scram_sha256[0] ? " scram-sha-256=" : "",
	    secrets ? u.password.scram_sha256 : "",
	    secrets && u.password.scram_sha1[0] ? " scram-sha-1=" : "",
	    secrets ? u.password.scram_sha1 : "", secrets && u.password.crypt[0] ? " crypt=" : "",
	    secrets ? u.password.crypt : "");
}

void
text_dump(struct ctl *c, int argc, char **argv)
{
	static const char *const words[DIR_TABLES] = { "domain", "user", "alias", "route" };
	int secrets = argc == 1 && strcmp(argv[0], "--secrets") == 0;
	char *value = malloc(VALUE_MAX);
	enum dir_status st = DIR_FULL;

	if (argc == 1 && !secrets) {
		free(value);
		ctl_done(c, CTL_USAGE, "%s: expected --secrets or nothing", argv[0]);
		return;
	}
	for (int t = 0; value != NULL && t < DIR_TABLES; t++) {
		char key[512] = "";

		while ((st = directory_next(
			    auth.directory, t, key, sizeof(key), value, VALUE_MAX)) == DIR_OK) {
			if (t == DIR_USERS)
				dump_user(c, key, value, secrets);
			else
				ctl_text(c, "%s %s%s%s", words[t], key, value[0] ? " " : "", value);
		}
	}
	free(value);
	if (st == DIR_NONE)
		ctl_done(c, CTL_OK, NULL);
	else
		ctl_done(c, CTL_TEMPFAIL, "%s", dir_status_text(st));
}

/* ---- load ---- */

static const char *
load_user(char **words, int n)
{
	char text[VALUE_MAX];
	struct address a;
	struct user u, old;
	size_t len;
	enum dir_status st;
	char key[ADDRESS_MAX + 1];

	if (address_parse(words[0], strlen(words[0]), &a) == -1 ||
	    address_fold_key(&a, key, sizeof(key)) == -1)
		return "not an address";
	/* The words are the record's lines; what a dump without secrets lacks stays. */
	len = strlcpy(text, "mailbox=x/x\n", sizeof(text));
	for (int i = 1; i < n; i++) {
		len = strlcat(text, words[i], sizeof(text));
		len = strlcat(text, "\n", sizeof(text));
		if (len >= sizeof(text))
			return "line too long";
	}
	if (user_decode(key, text, &u) == -1)
		return "malformed values";
	st = directory_user_get(auth.directory, key, &old);
	if (st == DIR_OK) {
		if (u.password.scram_sha256[0] == '\0' && u.password.crypt[0] == '\0')
			u.password = old.password;
		strlcpy(u.mailbox, old.mailbox, sizeof(u.mailbox));
		u.uid = old.uid;
		st = directory_user_put(auth.directory, &u);
	} else {
		struct channel *ch = daemon_peer(ROLE_MBOXD);
		struct msg_mbox_dir d = { 0 };

		if ((st = directory_user_add(auth.directory, &u)) == DIR_OK && ch != NULL) {
			d.uid = u.uid;
			strlcpy(d.mailbox, u.mailbox, sizeof(d.mailbox));
			channel_send(ch, MSG_AUTHD_MBOXD_CREATE, 0, &d, -1);
		}
	}
	return st == DIR_OK ? NULL : dir_status_text(st);
}

static const char *
load_line(char *line)
{
	char *words[LINE_WORDS_MAX], *word, domain[300], key[ADDRESS_MAX + 2];
	struct routeurl url;
	struct address a;
	const char *why;
	enum dir_status st;
	int n = 0;

	if (line[0] == '#' || line[0] == '\0')
		return NULL;
	if (strncmp(line, "alias ", 6) == 0) {
		/* alias KEY TARGET…: the targets are stored as they stand */
		char *targets = strchr(line + 6, ' ');

		if (targets == NULL)
			return "expected alias ADDRESS TARGET…";
		*targets++ = '\0';
		if (line[6] == '@')
			strlcpy(key, line + 6, sizeof(key));
		else if (address_parse(line + 6, strlen(line + 6), &a) == -1 ||
		    address_fold_key(&a, key, sizeof(key)) == -1)
			return "not an address";
		st = directory_alias_put(auth.directory, key, targets);
		return st == DIR_OK ? NULL : dir_status_text(st);
	}
	while ((word = strsep(&line, " ")) != NULL && n < LINE_WORDS_MAX)
		if (*word != '\0')
			words[n++] = word;
	if (n == 2 && strcmp(words[0], "domain") == 0) {
		if (address_domain_ascii(words[1], domain, sizeof(domain)) == -1)
			return "not a domain name";
		st = directory_domain_add(auth.directory, domain);
		return st == DIR_OK || st == DIR_EXISTS ? NULL : dir_status_text(st);
	}
	if (n == 3 && strcmp(words[0], "route") == 0) {
		if (routeurl_parse(words[2], &url, &why) == -1)
			return why;
		st = directory_route_put(auth.directory, words[1], words[2]);
		return st == DIR_OK ? NULL : dir_status_text(st);
	}
	if (n >= 2 && strcmp(words[0], "user") == 0)
		return load_user(words + 1, n - 1);
	return "expected domain, user, alias or route";
}

static char *
read_all(int fd, size_t *len)
{
	char *buf = NULL;
	size_t cap = 0;

	*len = 0;
	for (;;) {
		ssize_t n;

		if (*len + 1 >= cap) {
			char *bigger;

			cap = cap == 0 ? 65536 : cap * 2;
			if (cap > LOAD_MAX || (bigger = realloc(buf, cap)) == NULL)
				break;
			buf = bigger;
		}
		n = read(fd, buf + *len, cap - *len - 1);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0) {
			buf[*len] = '\0';
			if (n == 0)
				return buf;
			break;
		}
		*len += (size_t)n;
	}
	free(buf);
	return NULL;
}

/*
 * fifectl hands over its standard input as a regular file, so that reading it
 * does not make others wait for a slow writer.
 */
void
text_load(struct ctl *c, int argc, char **argv)
{
	int fd = ctl_take_fd(c), number = 0;
	char *text, *rest, *line;
	const char *bad = NULL;
	size_t len;

	if (fd == -1) {
		ctl_done(c, CTL_USAGE, "expected the text on standard input");
		return;
	}
	text = read_all(fd, &len);
	close(fd);
	if (text == NULL || memchr(text, '\0', len) != NULL) {
		free(text);
		ctl_done(c, CTL_REFUSED, "the input cannot be read as text of at most 64 MB");
		return;
	}
	rest = text;
	while (bad == NULL && (line = strsep(&rest, "\n")) != NULL) {
		number++;
		bad = load_line(line);
	}
	free(text);
	auth_changed("");
	if (bad != NULL)
		ctl_done(c, CTL_REFUSED, "line %d: %s; the lines before it are loaded", number, bad);
	else
		ctl_done(c, CTL_OK, NULL);
}
