/* SPDX-License-Identifier: ISC */
/* fifectl list ...; see list_commands.h. */
#include "authd/list_commands.h"

#include <sys/stat.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "authd/auth.h"
#include "authd/lists.h"
#include "authd/user_commands.h"
#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/file.h"
#include "common/log.h"

#define IMPORT_MAX (16 * 1024 * 1024)
#define IMPORT_MEMBERS_MAX 100000

static void
done_with(struct ctl *c, enum dir_status st, const char *subject)
{
	if (st == DIR_OK)
		ctl_done(c, CTL_OK, NULL);
	else
		ctl_done(c, st == DIR_IO ? CTL_TEMPFAIL : CTL_REFUSED, "%s: %s", subject,
		    st == DIR_NONE ? "no such list" : dir_status_text(st));
}

/* The list of that name into key and *l; -1 after ctl_done(). */
static int
list_arg(struct ctl *c, const char *word, char key[ADDRESS_MAX + 1], struct listconf *l)
{
	enum dir_status st;

	if (address_key(c, word, key, ADDRESS_MAX + 1) == -1)
		return -1;
	if ((st = lists_get(auth.directory, key, l)) == DIR_OK)
		return 0;
	done_with(c, st, word);
	return -1;
}

/* Who gets a role in the list of that key; -1 after ctl_done(). */
static int
member_arg(struct ctl *c, const char *list, const char *word, char key[ADDRESS_MAX + 1])
{
	if (address_key(c, word, key, ADDRESS_MAX + 1) == -1)
		return -1;
	if (strcmp(key, list) != 0)
		return 0;
	ctl_done(c, CTL_REFUSED, "%s: a list is no member of itself", word);
	return -1;
}

static int
put(struct ctl *c, const char *key, const struct listconf *l, int is_new,
    const char *subject)
{
	char text[LISTCONF_TEXT_MAX + 1];
	enum dir_status st;

	if (listconf_format(l, text, sizeof(text)) == -1)
		st = DIR_BAD;
	else
		st = directory_list_put(auth.directory, key, text, is_new);
	if (st == DIR_OK)
		return 0;
	if (st == DIR_NONE)
		ctl_done(c, CTL_REFUSED, "%s: no such domain here: fifectl domain add %s",
		    subject, strrchr(key, '@') + 1);
	else if (st == DIR_EXISTS)
		ctl_done(c, CTL_REFUSED,
		    "%s: there is a list, user or alias of that name", subject);
	else
		done_with(c, st, subject);
	return -1;
}

/* KEY=VALUE words; owner=ADDRESS (of add) is left to the caller. */
static int
set_words(struct ctl *c, struct listconf *l, int argc, char **argv, int owners)
{
	for (int i = 0; i < argc; i++) {
		const char *why;

		if (owners && strncmp(argv[i], "owner=", 6) == 0)
			continue;
		if (strncmp(argv[i], "created=", 8) == 0)
			why = "created: it is as it is";
		else
			why = listconf_set(l, argv[i]);
		if (why != NULL) {
			ctl_done(c, CTL_USAGE, "%s", why);
			return -1;
		}
	}
	return 0;
}

void
list_cmd_add(struct ctl *c, int argc, char **argv)
{
	char key[ADDRESS_MAX + 1], owner[ADDRESS_MAX + 1];
	struct listconf l;

	listconf_init(&l);
	l.created = wall_s();
	if (address_key(c, argv[0], key, sizeof(key)) == -1 ||
	    set_words(c, &l, argc - 1, argv + 1, 1) == -1)
		return;
	for (int i = 1; i < argc; i++)
		if (strncmp(argv[i], "owner=", 6) == 0 &&
		    member_arg(c, key, argv[i] + 6, owner) == -1)
			return;
	if (strlen(key) > 200) {
		ctl_done(c, CTL_USAGE, "%s: too long for a list", argv[0]);
		return;
	}
	if (put(c, key, &l, 1, argv[0]) == -1)
		return;
	for (int i = 1; i < argc; i++)
		if (strncmp(argv[i], "owner=", 6) == 0) {
			enum dir_status st;

			(void)address_key(c, argv[i] + 6, owner, sizeof(owner));
			st = lists_role_add(
			    auth.directory, key, owner, LIST_IS_OWNER, wall_s());
			if (st != DIR_OK && st != DIR_EXISTS) {
				done_with(c, st, argv[i]);
				return;
			}
		}
	ctl_done(c, CTL_OK, NULL);
}

void
list_cmd_del(struct ctl *c, int argc, char **argv)
{
	char key[ADDRESS_MAX + 1];

	if (address_key(c, argv[0], key, sizeof(key)) == 0)
		done_with(c, directory_list_del(auth.directory, key), argv[0]);
}

void
list_cmd_set(struct ctl *c, int argc, char **argv)
{
	char key[ADDRESS_MAX + 1];
	struct listconf l;

	if (list_arg(c, argv[0], key, &l) == 0 &&
	    set_words(c, &l, argc - 1, argv + 1, 0) == 0 &&
	    put(c, key, &l, 0, argv[0]) == 0)
		ctl_done(c, CTL_OK, NULL);
}

struct counts {
	uint64_t members, suspended, owners, posters;
	char owner[DIRECTORY_TARGETS_MAX + 1];
};

static int
count(const char *member, const char *text, void *arg)
{
	struct counts *n = arg;
	struct member m;

	if (member_decode(text, &m) == -1)
		return 0;
	n->members += (m.roles & LIST_IS_MEMBER) != 0;
	n->suspended += (m.roles & LIST_IS_MEMBER) && m.suspended != 0;
	n->posters += (m.roles & LIST_IS_POSTER) != 0;
	n->owners += (m.roles & LIST_IS_OWNER) != 0;
	return 0;
}

void
list_cmd_list(struct ctl *c, int argc, char **argv)
{
	char key[512] = "", text[LISTCONF_TEXT_MAX + 1];
	const char *domain = argc == 1 ? argv[0] : NULL;
	enum dir_status st;

	while ((st = directory_next(auth.directory, DIR_LISTS, key, sizeof(key), text,
		    sizeof(text))) == DIR_OK) {
		struct counts n = { 0 };
		struct listconf l;
		const char *name;
		char value[LISTCONF_ARCHIVE_MAX + 1];

		if ((domain != NULL && strcasecmp(strrchr(key, '@') + 1, domain) != 0) ||
		    listconf_parse(text, &l) == -1)
			continue;
		(void)directory_members_walk(auth.directory, key, "", count, &n);
		ctl_row(c, CTL_TABLE);
		ctl_str(c, "list", key);
		ctl_u64(c, "members", n.members);
		ctl_u64(c, "suspended", n.suspended);
		ctl_u64(c, "owners", n.owners);
		(void)listconf_show(&l, 1, &name, value, sizeof(value));
		ctl_str(c, "post", value);
		ctl_str(c, "title", l.title);
		ctl_row_end(c);
	}
	done_with(c, st == DIR_NONE ? DIR_OK : st, "list");
}

void
list_cmd_show(struct ctl *c, int argc, char **argv)
{
	static struct counts n;
	char key[ADDRESS_MAX + 1], value[LISTCONF_ARCHIVE_MAX + 1];
	struct listconf l;
	const char *name;

	if (list_arg(c, argv[0], key, &l) == -1)
		return;
	memset(&n, 0, sizeof(n));
	(void)directory_members_walk(auth.directory, key, "", count, &n);
	lists_owners(auth.directory, key, n.owner, sizeof(n.owner));
	ctl_row(c, CTL_FACTS);
	ctl_str(c, "list", key);
	for (int i = 0; listconf_show(&l, i, &name, value, sizeof(value)) == 0; i++)
		ctl_str(c, name, value);
	ctl_time(c, "created", l.created);
	ctl_str(c, "owner", n.owner);
	ctl_u64(c, "posters", n.posters);
	ctl_u64(c, "members", n.members);
	ctl_u64(c, "suspended", n.suspended);
	ctl_row_end(c);
	ctl_done(c, CTL_OK, NULL);
}

/* ---- members ---- */

static void
roles_change(struct ctl *c, int argc, char **argv, uint8_t role, int add)
{
	char key[ADDRESS_MAX + 1], member[ADDRESS_MAX + 1];
	struct listconf l;

	if (list_arg(c, argv[0], key, &l) == -1)
		return;
	for (int i = 1; i < argc; i++) {
		enum dir_status st;

		if ((add ? member_arg(c, key, argv[i], member)
			 : address_key(c, argv[i], member, sizeof(member))) == -1)
			return;
		st = add ? lists_role_add(auth.directory, key, member, role, wall_s())
			 : lists_role_del(auth.directory, key, member, role);
		if (st == DIR_OK || (add && st == DIR_EXISTS))
			continue;
		if (st == DIR_NONE)
			ctl_done(c, CTL_REFUSED, "%s: not in the list", argv[i]);
		else
			done_with(c, st, argv[i]);
		return;
	}
	ctl_done(c, CTL_OK, NULL);
}

void
list_cmd_member_add(struct ctl *c, int argc, char **argv)
{
	roles_change(c, argc, argv, LIST_IS_MEMBER, 1);
}

void
list_cmd_member_del(struct ctl *c, int argc, char **argv)
{
	roles_change(c, argc, argv, LIST_IS_MEMBER, 0);
}

void
list_cmd_owner_add(struct ctl *c, int argc, char **argv)
{
	roles_change(c, argc, argv, LIST_IS_OWNER, 1);
}

void
list_cmd_owner_del(struct ctl *c, int argc, char **argv)
{
	roles_change(c, argc, argv, LIST_IS_OWNER, 0);
}

void
list_cmd_poster_add(struct ctl *c, int argc, char **argv)
{
	roles_change(c, argc, argv, LIST_IS_POSTER, 1);
}

void
list_cmd_poster_del(struct ctl *c, int argc, char **argv)
{
	roles_change(c, argc, argv, LIST_IS_POSTER, 0);
}

/* A listing on its way: as much as fifectl takes, then the others' turn. */
struct listing {
	struct ctl *c;
	int suspended;
	char list[ADDRESS_MAX + 1];
	char after[ADDRESS_MAX + 1];
	int more;
};

static int
member_row(const char *member, const char *text, void *arg)
{
	struct listing *g = arg;
	char roles[40] = "";
	struct member m;

	strlcpy(g->after, member, sizeof(g->after));
	if (member_decode(text, &m) == -1 || (g->suspended && m.suspended == 0))
		return 0;
	if (m.roles & LIST_IS_MEMBER)
		strlcat(roles, " member", sizeof(roles));
	if (m.roles & LIST_IS_OWNER)
		strlcat(roles, " owner", sizeof(roles));
	if (m.roles & LIST_IS_POSTER)
		strlcat(roles, " poster", sizeof(roles));
	ctl_row(g->c, CTL_TABLE);
	ctl_str(g->c, "address", member);
	ctl_str(g->c, "roles", roles[0] != '\0' ? roles + 1 : "");
	ctl_str(g->c, "state",
	    m.suspended != 0 ? "suspended"
	    : m.score > 0    ? "bouncing"
			     : "active");
	ctl_u64(g->c, "score", m.score);
	ctl_str(g->c, "why", m.why);
	ctl_row_end(g->c);
	g->more = ctl_full(g->c);
	return g->more;
}

static void
listing_gone(struct ctl *c, void *arg)
{
	free(arg);
}

static void
listing_more(struct ctl *c, void *arg)
{
	struct listing *g = arg;
	enum dir_status st;

	g->more = 0;
	st = directory_members_walk(auth.directory, g->list, g->after, member_row, g);
	if (st == DIR_OK && g->more) {
		ctl_on_room(c, listing_more, g);
		return;
	}
	done_with(c, st, g->list);
	free(g);
}

void
list_cmd_member_list(struct ctl *c, int argc, char **argv)
{
	struct listing *g = calloc(1, sizeof(*g));
	struct listconf l;

	if (g == NULL) {
		ctl_done(c, CTL_TEMPFAIL, "no memory");
		return;
	}
	g->c = c;
	g->suspended = argc == 2 && strcmp(argv[1], "--suspended") == 0;
	if (argc == 2 && !g->suspended) {
		ctl_done(c, CTL_USAGE, "%s: expected --suspended or nothing", argv[1]);
		free(g);
		return;
	}
	if (list_arg(c, argv[0], g->list, &l) == -1) {
		free(g);
		return;
	}
	ctl_on_gone(c, listing_gone, g);
	listing_more(c, g);
}

static int
suspend_one(char *text, size_t cap, void *arg)
{
	const int *on = arg;
	struct member m;

	if (text[0] == '\0' || member_decode(text, &m) == -1 ||
	    !(m.roles & LIST_IS_MEMBER))
		return -1;
	if (*on) {
		if (m.suspended == 0)
			m.suspended = wall_s();
		strlcpy(m.why, "by the administrator", sizeof(m.why));
	} else
		member_resume(&m);
	return member_encode(&m, text, cap);
}

static void
suspend(struct ctl *c, int argc, char **argv, int on)
{
	char key[ADDRESS_MAX + 1], member[ADDRESS_MAX + 1], *members[1] = { member };
	struct listconf l;

	if (list_arg(c, argv[0], key, &l) == -1)
		return;
	for (int i = 1; i < argc; i++) {
		enum dir_status st;
		size_t n;

		if (address_key(c, argv[i], member, sizeof(member)) == -1)
			return;
		st = directory_members_change(
		    auth.directory, key, members, 1, suspend_one, &on, &n);
		if (st == DIR_OK && n == 1)
			continue;
		if (st == DIR_OK)
			ctl_done(c, CTL_REFUSED, "%s: not in the list", argv[i]);
		else
			done_with(c, st, argv[i]);
		return;
	}
	ctl_done(c, CTL_OK, NULL);
}

void
list_cmd_suspend(struct ctl *c, int argc, char **argv)
{
	suspend(c, argc, argv, 1);
}

void
list_cmd_resume(struct ctl *c, int argc, char **argv)
{
	suspend(c, argc, argv, 0);
}

static int
join_one(char *text, size_t cap, void *arg)
{
	const int64_t *now = arg;
	struct member m = { 0 };

	if (text[0] != '\0' && member_decode(text, &m) == -1)
		return -1;
	if (m.roles & LIST_IS_MEMBER)
		return -1;
	m.roles |= LIST_IS_MEMBER;
	m.since = *now;
	return member_encode(&m, text, cap);
}

/* Of memory that fifectl made: reading a pipe would make everybody wait. */
static char *
read_input(int fd)
{
	struct stat st;
	size_t size;
	char *text;

	if (fd == -1 || fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) || st.st_size < 0 ||
	    st.st_size > IMPORT_MAX || (text = malloc((size_t)st.st_size + 1)) == NULL)
		return NULL;
	size = (size_t)st.st_size;
	if (file_read_at(fd, text, size, 0) == -1) {
		free(text);
		return NULL;
	}
	text[size] = '\0';
	return text;
}

/* An address a line, what follows a blank or a # is no part of it. All or none. */
void
list_cmd_import(struct ctl *c, int argc, char **argv)
{
	char key[ADDRESS_MAX + 1], member[ADDRESS_MAX + 1], *text, *rest, *line;
	char **members = NULL;
	size_t n = 0, cap = 0, added = 0;
	int fd = ctl_take_fd(c), number = 0;
	int64_t now = wall_s();
	enum dir_status st = DIR_OK;
	struct listconf l;

	text = rest = read_input(fd);
	if (fd != -1)
		close(fd);
	if (text == NULL) {
		ctl_done(c, CTL_REFUSED, "the input cannot be read as text");
		return;
	}
	if (list_arg(c, argv[0], key, &l) == -1)
		goto out;
	while ((line = strsep(&rest, "\n")) != NULL) {
		struct address a;
		char **v;

		number++;
		line += strspn(line, " \t\r");
		line[strcspn(line, " \t\r#")] = '\0';
		if (*line == '\0')
			continue;
		if (address_parse(line, strlen(line), &a) == -1 ||
		    address_fold_key(&a, member, sizeof(member)) == -1 ||
		    strcmp(member, key) == 0) {
			ctl_done(c, CTL_REFUSED,
			    "line %d: %.200s: not an address that can be a member; "
			    "nobody "
			    "was entered",
			    number, line);
			goto out;
		}
		if (n == cap) {
			cap = cap == 0 ? 64 : cap * 2;
			if ((v = reallocarray(members, cap, sizeof(*v))) == NULL) {
				ctl_done(c, CTL_TEMPFAIL, "no memory");
				goto out;
			}
			members = v;
		}
		if (n == IMPORT_MEMBERS_MAX || (members[n] = strdup(member)) == NULL) {
			ctl_done(
			    c, CTL_REFUSED, "more than %d addresses", IMPORT_MEMBERS_MAX);
			goto out;
		}
		n++;
	}
	if (n > 0)
		st = directory_members_change(
		    auth.directory, key, members, n, join_one, &now, &added);
	if (st == DIR_OK) {
		ctl_text(c, "%zu entered, %zu were members already", added, n - added);
		ctl_done(c, CTL_OK, NULL);
	} else
		done_with(c, st, argv[0]);
out:
	for (size_t i = 0; i < n; i++)
		free(members[i]);
	free(members);
	free(text);
}

void
list_cmd_unsubscribe(struct ctl *c, int argc, char **argv)
{
	char list[ADDRESS_MAX + 1], member[ADDRESS_MAX + 1];
	const char *token = argc == 2 && strcmp(argv[0], "--token") == 0 ? argv[1]
			    : argc == 1 && strncmp(argv[0], "--token=", 8) == 0
				? argv[0] + 8
				: NULL;

	if (token == NULL) {
		ctl_done(c, CTL_USAGE, "expected list unsubscribe --token TOKEN");
		return;
	}
	switch (lists_unsubscribe(token, list, member)) {
	case MSG_OK:
		ctl_row(c, CTL_FACTS);
		ctl_str(c, "list", list);
		ctl_str(c, "member", member);
		ctl_row_end(c);
		ctl_done(c, CTL_OK, NULL);
		break;
	case MSG_UNKNOWN:
		ctl_done(c, CTL_REFUSED, "this token is not valid, or too old");
		break;
	default:
		ctl_done(c, CTL_TEMPFAIL, "the directory cannot be written now");
	}
}

/* ---- dump and load ---- */

void
list_dump(struct ctl *c, const char *key, const char *text)
{
	ctl_text(c, "list %s %s", key, text);
}

void
list_dump_member(struct ctl *c, const char *key, const char *text)
{
	ctl_text(c, "list-member %s %s", key, text);
}

static int
load_key(const char *word, char key[ADDRESS_MAX + 1])
{
	struct address a;
	const char *at = strrchr(word, '@');

	/* As a dump has it, without quotes; or as a person writes it. */
	if (address_parse(word, strlen(word), &a) == -1) {
		if (at == NULL || strlen(word) > ADDRESS_MAX || at == word ||
		    (size_t)(at - word) >= sizeof(a.local))
			return -1;
		memcpy(a.local, word, (size_t)(at - word));
		a.local[at - word] = '\0';
		strlcpy(a.domain, at + 1, sizeof(a.domain));
	}
	return address_fold_key(&a, key, ADDRESS_MAX + 1) == -1 ? -1 : 0;
}

static int
join_words(char **words, int n, char *text, size_t cap)
{
	text[0] = '\0';
	for (int i = 0; i < n; i++)
		if ((i > 0 && strlcat(text, " ", cap) >= cap) ||
		    strlcat(text, words[i], cap) >= cap)
			return -1;
	return 0;
}

const char *
list_load(char **words, int n)
{
	char key[ADDRESS_MAX + 1], text[LISTCONF_TEXT_MAX + 1];
	struct listconf l;
	enum dir_status st;

	if (load_key(words[0], key) == -1)
		return "not an address";
	if (join_words(words + 1, n - 1, text, sizeof(text)) == -1 ||
	    listconf_parse(text, &l) == -1)
		return "malformed settings of a list";
	if (l.created == 0)
		l.created = wall_s();
	if (listconf_format(&l, text, sizeof(text)) == -1)
		return "malformed settings of a list";
	st = directory_list_put(auth.directory, key, text,
	    directory_list_get(auth.directory, key, NULL, 0) != DIR_OK);
	return st == DIR_OK ? NULL : dir_status_text(st);
}

const char *
list_load_member(char **words, int n)
{
	char list[ADDRESS_MAX + 1], key[ADDRESS_MAX + 1], text[MEMBER_TEXT_MAX + 1];
	struct member m;
	enum dir_status st;

	if (load_key(words[0], list) == -1 || load_key(words[1], key) == -1)
		return "not an address";
	if (n == 2)
		strlcpy(text, "roles=m", sizeof(text));
	else if (join_words(words + 2, n - 2, text, sizeof(text)) == -1)
		return "malformed values";
	if (member_decode(text, &m) == -1 || m.roles == 0)
		return "malformed values";
	if (m.since == 0)
		m.since = wall_s();
	if (member_encode(&m, text, sizeof(text)) == -1)
		return "malformed values";
	if (directory_list_get(auth.directory, list, NULL, 0) != DIR_OK)
		return "a member of no list here";
	st = directory_member_put(auth.directory, list, key, text);
	return st == DIR_OK ? NULL : dir_status_text(st);
}
