/* SPDX-License-Identifier: ISC */
/*
 * Runs the scripts on a delivery and carries out their actions. A failure of a script, or
 * of one of its folders, keeps the message in INBOX (RFC 5228, 2.10.6): no mistake in
 * a script loses mail.
 *
 * The same delivery may come again after an interruption. Each folder then knows it by
 * an identity of its own (folder_identity()), replies are made again unless another
 * delivery's is remembered, and queued takes what is sent only with the result.
 */
#include "mailbox/filter.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>

#include "common/compat/compat.h"
#include "common/log.h"
#include "common/proto/date.h"
#include "common/proto/encoding.h"
#include "mailbox/annotations.h"
#include "common/crc32c.h"
#include "mailbox/replies.h"
#include "mailbox/scripts.h"
#include "mailbox/site.h"

#define RULES_NAME "settings"
#define ACTIVE_NAME "active"
#define SETTINGS_REDIRECTS_MAX 30
#define EDITED_MAX (200 * 1024) /* octets that deliverd takes */

struct run {
	struct store *store;
	const struct filter_owner *owner;
	const struct msg_deliver *d;
	struct delivery delivery;
	int fd;
	const char *data;
	int64_t now;
	filter_outlet outlet;
	void *arg;
	char what[400];  /* for people; queued reads how it begins (loops.c) */
	char aside[400]; /* answers and notices, behind that */
	char trouble[400];
	int kept;  /* folders that have it */
	int again; /* all of them had it */
	int sent;
	bool open;     /* the scripts so far do not say where it goes */
	uint8_t flags; /* that they have set all the same */
	char keywords[512];
	char posted[STORE_NAME_MAX + 1];
	uint32_t used[SIEVE_ACTIONS_MAX * 2];
	size_t n_used;
};

static void say(char *buf, size_t cap, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void
say(char *buf, size_t cap, const char *fmt, ...)
{
	size_t n = strlen(buf);
	va_list ap;

	if (n > 0 && n + 2 < cap)
		n += strlcpy(buf + n, "; ", cap - n);
	va_start(ap, fmt);
	vsnprintf(buf + n, cap - n, fmt, ap);
	va_end(ap);
}

/* ---- what a script may ask ---- */

static const struct {
	const char *use;
	uint32_t flag;
} uses[] = {
	{ "\\Junk", FOLDER_JUNK },
	{ "\\Sent", FOLDER_SENT },
	{ "\\Trash", FOLDER_TRASH },
	{ "\\Drafts", FOLDER_DRAFTS },
	{ "\\Archive", FOLDER_ARCHIVE },
};

static uint32_t
use_flag(const char *use)
{
	for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++)
		if (ascii_equal(use, strlen(use), uses[i].use))
			return uses[i].flag;
	return 0;
}

static bool
mailbox_exists(const char *name, void *arg)
{
	struct run *r = arg;
	struct folder *f;

	if (folder_open(r->store, name, &f) != STORE_OK)
		return false;
	folder_close(f);
	return true;
}

/* The first folder with that use; false: there is none. */
static bool
find_use(struct store *s, const char *mailbox, uint32_t flag, char *name, size_t cap)
{
	struct folder_info *list;
	bool found = false;
	size_t n;

	if (flag == 0 || store_list(s, &list, &n) != STORE_OK)
		return false;
	for (size_t i = 0; i < n && !found; i++)
		if ((list[i].flags & flag) != 0 &&
		    (list[i].flags & FOLDER_NOSELECT) == 0 &&
		    (mailbox == NULL || strcmp(list[i].name, mailbox) == 0)) {
			strlcpy(name, list[i].name, cap);
			found = true;
		}
	free(list);
	return found;
}

static bool
special_use(const char *mailbox, const char *use, void *arg)
{
	struct run *r = arg;
	char name[STORE_NAME_MAX + 1];

	return find_use(r->store, mailbox, use_flag(use), name, sizeof(name));
}

static bool
duplicate(const uint8_t key[32], void *arg)
{
	struct run *r = arg;

	return replies_has(r->store, key, r->now, &r->delivery);
}

/* RFC 5490, 3 and 4: what IMAP keeps (RFC 5464). */
static char *
metadata(const char *mailbox, const char *name, void *arg)
{
	struct run *r = arg;
	struct annotations *list = calloc(1, sizeof(*list));
	char key[ANNOTATION_NAME_MAX + 1], *value = NULL;
	struct folder *f = NULL;

	if (list == NULL)
		return NULL;
	if (annotation_name(name, strlen(name), key) != -1 &&
	    (mailbox == NULL || folder_open(r->store, mailbox, &f) == STORE_OK) &&
	    annotations_load(r->store, f, list) == STORE_OK)
		for (size_t i = 0; i < list->n && value == NULL; i++)
			if (strcmp(list->v[i].name, key) == 0)
				value = strndup(
				    (const char *)list->v[i].value, list->v[i].len);
	annotations_clear(list);
	if (f != NULL)
		folder_close(f);
	free(list);
	return value;
}

/* ---- actions ---- */

/*
 * The number under which a folder knows this delivery: recipients count up from zero,
 * INBOX and Junk have the recipient's own, others one above all of them that comes of
 * the name, so that a script that changed in between does not shift it.
 */
static uint32_t
folder_identity(struct run *r, const char *folder)
{
	uint32_t h, id;
	size_t i;

	if (strcasecmp(folder, "INBOX") == 0)
		return r->d->rcpt;
	h = crc32c(0, folder, strlen(folder)) % 4095;
	for (;;) {
		id = r->d->rcpt + ((h + 1) << 20);
		for (i = 0; i < r->n_used && r->used[i] != id; i++)
			;
		if (i == r->n_used)
			break;
		h = (h + 1) % 4095;
	}
	if (r->n_used < sizeof(r->used) / sizeof(r->used[0]))
		r->used[r->n_used++] = id;
	return id;
}

static enum store_error
put_into(struct run *r, const char *folder, uint32_t identity,
    const struct sieve_action *a, size_t body_off)
{
	struct delivery d = r->delivery;
	struct delivery_form form = {
		.prefix = r->d->prefix, .prefix_len = r->d->prefix_len, .fd = r->fd
	};
	enum store_error error;
	int again = 0;

	d.rcpt = identity;
	if (a != NULL) {
		form.flags = a->flags;
		form.keywords = a->keywords;
		form.special = a->special_use != NULL ? use_flag(a->special_use) : 0;
		if (a->header != NULL) {
			form.prefix = a->header;
			form.prefix_len = a->header_len;
			form.offset = body_off;
			d.size -= body_off;
			d.crc = crc32c(0, r->data + body_off, (size_t)d.size);
		}
		if (a->message != NULL) {
			form.prefix = a->message;
			form.prefix_len = a->message_len;
			form.fd = -1;
			d.size = 0;
			d.crc = 0;
			form.flags |= FLAG_SEEN;
		}
	}
	if (strcmp(folder, "Junk") == 0)
		form.special = FOLDER_JUNK;
	if (a == NULL || a->implicit) {
		form.flags |= r->flags;
		if (form.keywords == NULL || form.keywords[0] == '\0')
			form.keywords = r->keywords;
	}
	error = store_deliver_form(r->store, folder, &d, &form, &again);
	if (error == STORE_OK && !again)
		r->again = 0;
	return error;
}

/* Where "keep" puts it: INBOX, or the folder that the address names (RFC 4314's p). */
static const char *
keep_folder(struct run *r)
{
	return store_post_folder(r->store, r->d->recipient, r->posted) ? r->posted
								       : "INBOX";
}

/* The folder that the delivery would go to without a script. */
static const char *
default_folder(struct run *r)
{
	return r->d->junk ? "Junk" : keep_folder(r);
}

static enum store_error
keep(struct run *r, const struct sieve_action *a, size_t body_off)
{
	const char *folder =
	    a == NULL || a->implicit ? default_folder(r) : keep_folder(r);
	enum store_error error = put_into(r, folder, r->d->rcpt, a, body_off);

	if (error == STORE_OK) {
		r->kept++;
		if (a == NULL || a->implicit)
			say(r->what, sizeof(r->what), "kept in %s", folder);
		else
			say(r->what, sizeof(r->what), "kept");
	}
	return error;
}

/* The next script decides; flags that this one set stay. */
static void
leave_open(struct run *r, const struct sieve_action *a)
{
	r->open = true;
	r->flags |= a->flags;
	if (a->keywords != NULL && a->keywords[0] != '\0' &&
	    strlen(r->keywords) + strlen(a->keywords) + 2 <= sizeof(r->keywords)) {
		if (r->keywords[0] != '\0')
			strlcat(r->keywords, " ", sizeof(r->keywords));
		strlcat(r->keywords, a->keywords, sizeof(r->keywords));
	}
}

static enum store_error
file_into(struct run *r, const struct sieve_action *a, size_t body_off)
{
	char name[STORE_NAME_MAX + 1];
	const char *folder = a->mailbox;
	enum store_error error;

	if (a->special_use != NULL &&
	    find_use(r->store, NULL, use_flag(a->special_use), name, sizeof(name)))
		folder = name;
	error = put_into(r, folder, folder_identity(r, folder), a, body_off);
	if (error == STORE_OK) {
		if (a->kind != SIEVE_FCC)
			r->kept++;
		say(r->what, sizeof(r->what), "%s %.100s",
		    a->kind == SIEVE_FCC ? "copy of the answer in" : "filed into",
		    folder);
	}
	return error;
}

/* A message in a file without a name. -1 with errno. */
static int
message_file(struct run *r, const char *a, size_t a_len, const char *b, size_t b_len)
{
	int dir = store_index_dir(r->store), fd;
	const char *parts[2] = { a, b };
	size_t lens[2] = { a_len, b_len };

	fd = openat(dir, "outlet", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd == -1)
		return -1;
	(void)unlinkat(dir, "outlet", 0);
	for (int i = 0; i < 2; i++)
		while (lens[i] > 0) {
			ssize_t n = write(fd, parts[i], lens[i]);

			if (n == -1 && errno == EINTR)
				continue;
			if (n <= 0) {
				close(fd);
				return -1;
			}
			parts[i] += n;
			lens[i] -= (size_t)n;
		}
	return fd;
}

static int
send_out(struct run *r, const struct sieve_action *a, size_t body_off)
{
	struct msg_outlet o = { 0 };
	int fd = -1;

	o.kind = a->kind == SIEVE_REDIRECT ? OUTLET_REDIRECT
		 : a->kind == SIEVE_REPLY  ? OUTLET_REPLY
					   : OUTLET_NOTICE;
	if (strlcpy(o.address, a->address, sizeof(o.address)) >= sizeof(o.address))
		return -1;
	if (a->message != NULL) {
		fd = message_file(r, a->message, a->message_len, NULL, 0);
		o.size = a->message_len;
	} else if (a->header != NULL && a->header_len + r->d->size > EDITED_MAX) {
		say(r->trouble, sizeof(r->trouble),
		    "too large to be redirected with its header edited");
	} else if (a->header != NULL && memchr(r->data + body_off, '\0',
					    (size_t)r->d->size - body_off) != NULL) {
		say(r->trouble, sizeof(r->trouble),
		    "binary, and cannot be redirected with its header edited");
	} else if (a->header != NULL) {
		fd = message_file(r, a->header, a->header_len, r->data + body_off,
		    (size_t)r->d->size - body_off);
		o.size = a->header_len + r->d->size - body_off;
	}
	if (fd == -1 && o.size > 0) {
		log_warn("sieve: a message to send");
		return -1;
	}
	if (r->outlet(&o, fd, r->arg) == -1)
		return -1;
	r->sent++;
	if (a->kind == SIEVE_REDIRECT)
		say(r->what, sizeof(r->what), "redirected to %.200s", o.address);
	else
		say(r->aside, sizeof(r->aside), "%s %.200s",
		    a->kind == SIEVE_REPLY ? "answered" : "notified", o.address);
	return 0;
}

static int
reply(struct run *r, const struct sieve_action *a)
{
	if (a->remember_s > 0 && replies_has(r->store, a->key, r->now, &r->delivery)) {
		say(r->aside, sizeof(r->aside), "answered before: %.100s", a->address);
		return 0;
	}
	if (send_out(r, a, 0) == -1)
		return -1;
	if (a->remember_s > 0)
		replies_add(r->store, a->key, r->now, a->remember_s, &r->delivery);
	return 1;
}

/* ---- a script ---- */

static void
log_trouble(struct run *r, const char *script, const char *why)
{
	char qid[24];

	snprintf(qid, sizeof(qid), "%llx", (unsigned long long)r->d->queue_id);
	log_warnx("%s: sieve script %s: %s", r->owner->address, script, why);
	say(r->trouble, sizeof(r->trouble), "the script failed: %s", why);
}

/* 1: the message was rejected. -1: try again later. */
static int
carry_out(struct run *r, const struct sieve_result *res, bool more,
    enum store_error *error, struct msg_delivered *out)
{
	bool fall_back = false, copy = false;

	for (size_t i = 0; i < res->n; i++) {
		const struct sieve_action *a = &res->v[i];
		enum store_error e = STORE_OK;
		int k;

		switch (a->kind) {
		case SIEVE_KEEP:
			/* What this script leaves open is the next one's. */
			if (more && a->implicit)
				leave_open(r, a);
			else
				e = keep(r, a, res->body_off);
			break;
		case SIEVE_FILEINTO:
			e = file_into(r, a, res->body_off);
			break;
		case SIEVE_FCC:
			/* The copy of a reply that was not sent is none. */
			if (copy && file_into(r, a, 0) != STORE_OK)
				say(r->trouble, sizeof(r->trouble),
				    "the copy of an answer cannot be stored");
			break;
		case SIEVE_REPLY:
			if ((k = reply(r, a)) == -1)
				return -1;
			copy = k == 1;
			break;
		case SIEVE_REDIRECT:
			/* To oneself: it is here already. */
			if (strcasecmp(a->address, r->owner->address) == 0 ||
			    strcasecmp(a->address, r->d->recipient) == 0) {
				if (more)
					r->open = true;
				else if (r->kept == 0)
					e = keep(r, NULL, 0);
				break;
			}
			if (send_out(r, a, res->body_off) == -1)
				return -1;
			copy = true;
			break;
		case SIEVE_NOTIFY:
			if (send_out(r, a, res->body_off) == -1)
				return -1;
			copy = true;
			break;
		case SIEVE_REJECT:
			out->status = r->d->sender[0] == '\0' ? MSG_OK : MSG_PERM;
			strlcpy(out->enhanced, out->status == MSG_OK ? "2.0.0" : "5.7.1",
			    sizeof(out->enhanced));
			strlcpy(out->text,
			    out->status == MSG_OK
				? "rejected by the user's script, which is not told to <>"
				: a->text,
			    sizeof(out->text));
			for (char *p = out->text; *p != '\0'; p++)
				if (iscntrl((unsigned char)*p))
					*p = ' ';
			return 1;
		}
		if (e == STORE_FULL || e == STORE_NO_SPACE || e == STORE_IO)
			*error = e;
		else if (e != STORE_OK) {
			say(r->trouble, sizeof(r->trouble), "not filed into %.100s: %s",
			    a->mailbox, store_error_text(e));
			log_warnx("%s: sieve: not filed into %s: %s", r->owner->address,
			    a->mailbox, store_error_text(e));
			fall_back = true;
		}
	}
	if (fall_back && r->kept == 0)
		*error = keep(r, NULL, 0);
	for (size_t i = 0; i < res->n_marks; i++)
		replies_add(r->store, res->marks[i].key, r->now, res->marks[i].remember_s,
		    &r->delivery);
	return 0;
}

static void
fill_input(struct run *r, struct sieve_input *in)
{
	*in = (struct sieve_input){ .head = (const char *)r->d->prefix,
		.head_len = r->d->prefix_len,
		.data = r->data,
		.len = (size_t)r->d->size,
		.envelope_from = r->d->sender,
		.envelope_to = r->d->recipient,
		.owner = r->owner->address,
		.hostname = r->owner->hostname,
		.separator = '+',
		.now = r->now,
		.zone_min = date_local_zone(r->now),
		.seed = r->d->queue_id << 8 ^ r->d->rcpt,
		.spam = r->d->junk ? 1 : 0,
		.virus = 1, /* what has one does not get this far */
		.mailbox_exists = mailbox_exists,
		.special_use = special_use,
		.duplicate = duplicate,
		.metadata = metadata,
		.arg = r };
}

static int
run_program(struct run *r, struct sieve_program *p, const char *name, bool more,
    enum store_error *error, struct msg_delivered *out)
{
	struct sieve_result *res = malloc(sizeof(*res));
	struct sieve_input in;
	int k;

	if (res == NULL)
		return -1;
	fill_input(r, &in);
	if (strcmp(name, ACTIVE_NAME) != 0) /* an administrator's */
		in.redirects_max = SETTINGS_REDIRECTS_MAX;
	sieve_run(p, &in, res);
	if (res->status == SIEVE_FAILED)
		log_trouble(r, name, res->error);
	if (res->notes[0] != '\0')
		say(r->aside, sizeof(r->aside), "%.200s", res->notes);
	k = carry_out(r, res, more, error, out);
	sieve_result_clear(res);
	free(res);
	return k;
}

/* The rules of fifectl user set: a script without a file. */
static int
run_rules(struct run *r, enum store_error *error, struct msg_delivered *out)
{
	struct sieve_errors *errors = malloc(sizeof(*errors));
	struct sieve_program *p;
	char why[400];
	int k = 0;

	if (errors == NULL)
		return -1;
	p = sieve_compile(RULES_NAME, r->d->rules, strlen(r->d->rules), NULL, errors);
	if (p == NULL) {
		sieve_errors_print(errors, why, sizeof(why));
		log_trouble(r, RULES_NAME, why);
		r->open = true;
	} else
		k = run_program(r, p, RULES_NAME, true, error, out);
	sieve_free(p);
	free(errors);
	return k;
}

/* Is the next script's turn? *k is the result when not. */
static bool
goes_on(struct run *r, int *k, const enum store_error *error)
{
	bool on = *k == 0 && *error == STORE_OK && r->open;

	r->open = false;
	return on;
}

/* The site's first script, the settings, the user's own, the site's last: each has what
 * those before it leave open. */
static int
deliver(struct run *r, struct sieve_program *program, enum script_error state,
    const struct sieve_errors *errors, enum store_error *error, struct msg_delivered *out)
{
	struct sieve_program *before = site_program(SITE_BEFORE),
			     *after = site_program(SITE_AFTER);
	char why[400];
	int k = 0;

	if (before != NULL) {
		k = run_program(r, before, "before", true, error, out);
		if (!goes_on(r, &k, error))
			return k;
	}
	if (r->d->rules[0] != '\0') {
		k = run_rules(r, error, out);
		if (!goes_on(r, &k, error))
			return k;
	}
	if (state == SCRIPT_INVALID) {
		sieve_errors_print(errors, why, sizeof(why));
		log_trouble(r, ACTIVE_NAME, why);
	}
	if (state == SCRIPT_OK) {
		k = run_program(r, program, ACTIVE_NAME, after != NULL, error, out);
		if (after == NULL || !goes_on(r, &k, error))
			return k;
	}
	if (after != NULL)
		return run_program(r, after, "after", false, error, out);
	*error = keep(r, NULL, 0);
	return 0;
}

int
filter_deliver(struct store *s, const struct filter_owner *owner,
    const struct msg_deliver *d, int fd, filter_outlet outlet, void *arg,
    struct msg_delivered *out, enum store_error *error)
{
	struct sieve_errors *errors = malloc(sizeof(*errors));
	struct run r = { .store = s,
		.owner = owner,
		.d = d,
		.fd = fd,
		.now = (int64_t)time(NULL),
		.outlet = outlet,
		.arg = arg,
		.again = 1 };
	struct sieve_program *program = NULL;
	enum script_error state;
	void *map = NULL;
	int k;

	*error = STORE_OK;
	if (errors == NULL) {
		*error = STORE_IO;
		return 1;
	}
	state = script_program(s, &program, errors);
	if (d->rules[0] == '\0' && state == SCRIPT_NOT_FOUND &&
	    site_program(SITE_BEFORE) == NULL && site_program(SITE_AFTER) == NULL) {
		free(errors);
		return 0;
	}
	r.delivery = (struct delivery){ .queue_id = d->queue_id,
		.rcpt = d->rcpt,
		.size = d->size,
		.crc = d->crc,
		.oldest_live = d->oldest_live };
	r.data = "";
	if (state == SCRIPT_IO)
		*error = STORE_IO;
	else if (d->size > INT32_MAX)
		*error = STORE_LIMIT;
	else if (d->size > 0 && (map = mmap(NULL, (size_t)d->size, PROT_READ, MAP_PRIVATE,
				     fd, 0)) == MAP_FAILED) {
		log_warn("sieve: the message");
		*error = STORE_IO;
		map = NULL;
	}
	if (*error == STORE_OK) {
		if (map != NULL)
			r.data = map;
		k = deliver(&r, program, state, errors, error, out);
		if (k == -1)
			*error = STORE_IO;
		if (k != 1 && *error == STORE_OK) {
			out->status = MSG_OK;
			strlcpy(out->enhanced, "2.0.0", sizeof(out->enhanced));
			if (r.kept == 0 && r.sent == 0)
				say(r.what, sizeof(r.what),
				    "discarded by the user's script");
			say(out->text, sizeof(out->text), "%s", r.what);
			if (r.aside[0] != '\0')
				say(out->text, sizeof(out->text), "%s", r.aside);
			if (r.trouble[0] != '\0')
				say(out->text, sizeof(out->text), "%s", r.trouble);
		}
		out->kept = r.kept > 0;
		out->again = (uint8_t)(r.kept > 0 && r.again);
		if (k == 1)
			*error = STORE_OK;
	}
	if (map != NULL)
		(void)munmap(map, (size_t)d->size);
	free(errors);
	return 1;
}
