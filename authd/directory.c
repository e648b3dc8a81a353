/* SPDX-License-Identifier: ISC */
/*
 * The directory in lmdb: one database a table, values are lines of key=value, so
 * that a later version can add to them and an administrator can read them.
 */
#include "authd/directory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "authd/directory_int.h"
#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"
#include "common/proto/encoding.h"

#define MAP_SIZE ((size_t)4 << 30)

static const char *const table_names[DIR_TABLES] = { "domains", "users", "aliases",
	"routes", "access", "personal", "groups", "certificates", "lists", "members" };

const char *
dir_status_text(enum dir_status st)
{
	switch (st) {
	case DIR_OK:
		return "done";
	case DIR_NONE:
		return "not found";
	case DIR_EXISTS:
		return "exists already";
	case DIR_BUSY:
		return "still in use";
	case DIR_FULL:
		return "no room left";
	case DIR_BAD:
		return "malformed";
	case DIR_IO:
		break;
	}
	return "the directory cannot be read or written, see the log";
}

enum dir_status
dir_failed(const char *what, int rc)
{
	if (rc == MDB_NOTFOUND)
		return DIR_NONE;
	if (rc == MDB_MAP_FULL || rc == ENOSPC) {
		log_warnx("directory: %s: %s", what, mdb_strerror(rc));
		return DIR_FULL;
	}
	log_warnx("directory: %s: %s", what, mdb_strerror(rc));
	return DIR_IO;
}

struct directory *
directory_open(const char *path, uint32_t uid_first, uint32_t uid_last)
{
	struct directory *d = calloc(1, sizeof(*d));
	MDB_txn *txn = NULL;
	int rc;

	if (d == NULL)
		return NULL;
	d->uid_first = uid_first;
	d->uid_last = uid_last;
	if ((rc = mdb_env_create(&d->env)) != 0 ||
	    (rc = mdb_env_set_mapsize(d->env, MAP_SIZE)) != 0 ||
	    (rc = mdb_env_set_maxdbs(d->env, DIR_TABLES + 1)) != 0 ||
	    (rc = mdb_env_open(d->env, path, MDB_NOSUBDIR, 0600)) != 0 ||
	    (rc = mdb_txn_begin(d->env, NULL, 0, &txn)) != 0)
		goto fail;
	for (int i = 0; i < DIR_TABLES; i++)
		if ((rc = mdb_dbi_open(txn, table_names[i], MDB_CREATE, &d->dbi[i])) != 0)
			goto fail;
	if ((rc = mdb_dbi_open(txn, "meta", MDB_CREATE, &d->meta)) != 0)
		goto fail;
	rc = mdb_txn_commit(txn);
	txn = NULL;
	if (rc != 0)
		goto fail;
	return d;
fail:
	log_warnx("directory %s: %s", path, mdb_strerror(rc));
	if (txn != NULL)
		mdb_txn_abort(txn);
	directory_close(d);
	return NULL;
}

void
directory_close(struct directory *d)
{
	if (d == NULL)
		return;
	if (d->env != NULL)
		mdb_env_close(d->env);
	free(d);
}

/* ---- one value ---- */

MDB_val
dir_val(const char *s)
{
	MDB_val v = { strlen(s), (void *)(uintptr_t)s };

	return v;
}

int
dir_txn_get(MDB_txn *txn, MDB_dbi dbi, const char *key, char *buf, size_t cap)
{
	MDB_val k = dir_val(key), v;
	int rc;

	if (*key == '\0' || strlen(key) > DIR_KEY_MAX)
		return MDB_NOTFOUND;
	if ((rc = mdb_get(txn, dbi, &k, &v)) != 0)
		return rc;
	if (buf == NULL)
		return 0;
	if (v.mv_size >= cap)
		return EMSGSIZE;
	memcpy(buf, v.mv_data, v.mv_size);
	buf[v.mv_size] = '\0';
	return 0;
}

enum dir_status
dir_get(struct directory *d, enum dir_table table, const char *key, char *buf, size_t cap)
{
	MDB_txn *txn;
	int rc;

	if ((rc = mdb_txn_begin(d->env, NULL, MDB_RDONLY, &txn)) != 0)
		return dir_failed("read", rc);
	rc = dir_txn_get(txn, d->dbi[table], key, buf, cap);
	mdb_txn_abort(txn);
	return rc == 0 ? DIR_OK : dir_failed("read", rc);
}

enum dir_status
dir_put(struct directory *d, enum dir_table table, const char *key, const char *value,
    unsigned int flags)
{
	MDB_val k = dir_val(key), v = dir_val(value);
	MDB_txn *txn;
	int rc;

	if (*key == '\0' || k.mv_size > DIR_KEY_MAX)
		return DIR_BAD;
	if ((rc = mdb_txn_begin(d->env, NULL, 0, &txn)) != 0)
		return dir_failed("write", rc);
	if ((rc = mdb_put(txn, d->dbi[table], &k, &v, flags)) != 0) {
		mdb_txn_abort(txn);
		return rc == MDB_KEYEXIST ? DIR_EXISTS : dir_failed("write", rc);
	}
	rc = mdb_txn_commit(txn);
	return rc == 0 ? DIR_OK : dir_failed("commit", rc);
}

enum dir_status
dir_del(struct directory *d, enum dir_table table, const char *key)
{
	MDB_val k = dir_val(key);
	MDB_txn *txn;
	int rc;

	if (*key == '\0' || k.mv_size > DIR_KEY_MAX)
		return DIR_NONE;
	if ((rc = mdb_txn_begin(d->env, NULL, 0, &txn)) != 0)
		return dir_failed("write", rc);
	if ((rc = mdb_del(txn, d->dbi[table], &k, NULL)) != 0) {
		mdb_txn_abort(txn);
		return dir_failed("delete", rc);
	}
	rc = mdb_txn_commit(txn);
	return rc == 0 ? DIR_OK : dir_failed("commit", rc);
}

enum dir_status
directory_next(struct directory *d, enum dir_table table, char *key, size_t keycap,
    char *value, size_t valuecap)
{
	MDB_cursor *cursor = NULL;
	MDB_txn *txn;
	MDB_val k = dir_val(key), v;
	enum dir_status st = DIR_OK;
	int rc;

	if ((rc = mdb_txn_begin(d->env, NULL, MDB_RDONLY, &txn)) != 0)
		return dir_failed("read", rc);
	if ((rc = mdb_cursor_open(txn, d->dbi[table], &cursor)) != 0) {
		st = dir_failed("read", rc);
		goto done;
	}
	if (*key == '\0')
		rc = mdb_cursor_get(cursor, &k, &v, MDB_FIRST);
	else {
		rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
		if (rc == 0 && k.mv_size == strlen(key) &&
		    memcmp(k.mv_data, key, k.mv_size) == 0)
			rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
	}
	if (rc != 0)
		st = dir_failed("read", rc);
	else if (k.mv_size >= keycap || v.mv_size >= valuecap)
		st = DIR_BAD;
	else {
		memcpy(key, k.mv_data, k.mv_size);
		key[k.mv_size] = '\0';
		memcpy(value, v.mv_data, v.mv_size);
		value[v.mv_size] = '\0';
	}
done:
	if (cursor != NULL)
		mdb_cursor_close(cursor);
	mdb_txn_abort(txn);
	return st;
}

enum dir_status
directory_secret(struct directory *d, uint8_t secret[32])
{
	char text[64];
	MDB_val k = dir_val("secret"), v;
	MDB_txn *txn;
	int rc;

	if ((rc = mdb_txn_begin(d->env, NULL, 0, &txn)) != 0)
		return dir_failed("write", rc);
	if (dir_txn_get(txn, d->meta, "secret", text, sizeof(text)) == 0 &&
	    base64_decode(text, strlen(text), secret, 32) == 32) {
		mdb_txn_abort(txn);
		return DIR_OK;
	}
	arc4random_buf(secret, 32);
	if (base64_encode(secret, 32, text, sizeof(text)) == -1) {
		mdb_txn_abort(txn);
		return DIR_BAD;
	}
	v = dir_val(text);
	if ((rc = mdb_put(txn, d->meta, &k, &v, 0)) != 0) {
		mdb_txn_abort(txn);
		return dir_failed("write", rc);
	}
	rc = mdb_txn_commit(txn);
	return rc == 0 ? DIR_OK : dir_failed("commit", rc);
}

/* ---- domains ---- */

enum dir_status
directory_domain_add(struct directory *d, const char *domain)
{
	return dir_put(d, DIR_DOMAINS, domain, "", MDB_NOOVERWRITE);
}

enum dir_status
directory_domain_set(struct directory *d, const char *domain, const char *settings)
{
	enum dir_status st = directory_domain_get(d, domain);

	return st == DIR_OK ? dir_put(d, DIR_DOMAINS, domain, settings, 0) : st;
}

enum dir_status
directory_domain_settings(
    struct directory *d, const char *domain, char *settings, size_t cap)
{
	return dir_get(d, DIR_DOMAINS, domain, settings, cap);
}

enum dir_status
directory_domain_get(struct directory *d, const char *domain)
{
	return dir_get(d, DIR_DOMAINS, domain, NULL, 0);
}

static int
table_uses_domain(struct directory *d, enum dir_table table, const char *domain)
{
	char key[512] = "", *value = malloc(DIRECTORY_VALUE_MAX);
	int used = 0;

	while (value != NULL && !used &&
	       directory_next(d, table, key, sizeof(key), value, DIRECTORY_VALUE_MAX) ==
		   DIR_OK) {
		const char *at = strrchr(key, '@');

		used = at != NULL && strcmp(at + 1, domain) == 0;
	}
	free(value);
	return used;
}

enum dir_status
directory_domain_del(struct directory *d, const char *domain)
{
	if (directory_domain_get(d, domain) == DIR_OK &&
	    (table_uses_domain(d, DIR_USERS, domain) ||
		table_uses_domain(d, DIR_ALIASES, domain) ||
		table_uses_domain(d, DIR_LISTS, domain)))
		return DIR_BUSY;
	return dir_del(d, DIR_DOMAINS, domain);
}

/* ---- users ---- */

int
mailbox_path(const char *key, char *out, size_t cap)
{
	static const char hex[] = "0123456789abcdef";
	const char *at = strrchr(key, '@');
	size_t len;

	if (at == NULL || at == key || at[1] == '\0' || at[1] == '.' ||
	    strchr(at, '/') != NULL)
		return -1;
	len = strlcpy(out, at + 1, cap);
	if (len + 2 >= cap)
		return -1;
	out[len++] = '/';
	for (const char *p = key; p < at; p++) {
		unsigned char c = (unsigned char)*p;
		int plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
			    c == '_' || c == '-' || c == '+' || c == '=' ||
			    (c == '.' && p > key) || c >= 0x80;

		if (len + 4 >= cap)
			return -1;
		if (plain) {
			out[len++] = (char)c;
			continue;
		}
		out[len++] = '%';
		out[len++] = hex[c >> 4];
		out[len++] = hex[c & 15];
	}
	out[len] = '\0';
	/* NAME_MAX of common file systems */
	return len - strlen(at + 1) - 1 > 250 ? -1 : 0;
}

static int
uid_in_use(struct directory *d, uint32_t uid)
{
	char key[512] = "", *value = malloc(DIRECTORY_VALUE_MAX);
	struct user u;
	int used = value == NULL;

	while (!used && directory_next(d, DIR_USERS, key, sizeof(key), value,
			    DIRECTORY_VALUE_MAX) == DIR_OK)
		used = user_decode(key, value, &u) == 0 && u.uid == uid;
	free(value);
	return used;
}

/*
 * The next uid for a mailbox. Uids go up and are used again only after the whole
 * range has been given out, so that one is not taken over by somebody
 * else while an old file may still be about.
 */
static uint32_t
uid_take(struct directory *d, MDB_txn *txn)
{
	char buf[16];
	uint32_t next = d->uid_first, tries;
	MDB_val k = dir_val("next-uid"), v;

	if (dir_txn_get(txn, d->meta, "next-uid", buf, sizeof(buf)) == 0) {
		const char *bad;
		long long n = strtonum(buf, 1, UINT32_MAX, &bad);

		if (bad == NULL && n >= d->uid_first && n <= d->uid_last)
			next = (uint32_t)n;
	}
	for (tries = 0; tries <= d->uid_last - d->uid_first; tries++) {
		uint32_t uid = next;

		next = next == d->uid_last ? d->uid_first : next + 1;
		if (uid_in_use(d, uid))
			continue;
		snprintf(buf, sizeof(buf), "%u", next);
		v = dir_val(buf);
		return mdb_put(txn, d->meta, &k, &v, 0) == 0 ? uid : 0;
	}
	return 0;
}

enum dir_status
directory_user_add(struct directory *d, struct user *u)
{
	char text[DIRECTORY_VALUE_MAX], domain_part[256];
	const char *at = strrchr(u->address, '@');
	MDB_txn *txn;
	MDB_val k = dir_val(u->address), v;
	int rc;

	if (at == NULL || mailbox_path(u->address, u->mailbox, sizeof(u->mailbox)) == -1)
		return DIR_BAD;
	strlcpy(domain_part, at + 1, sizeof(domain_part));
	if ((rc = mdb_txn_begin(d->env, NULL, 0, &txn)) != 0)
		return dir_failed("write", rc);
	if ((rc = dir_txn_get(txn, d->dbi[DIR_DOMAINS], domain_part, NULL, 0)) != 0) {
		mdb_txn_abort(txn);
		return dir_failed("read", rc);
	}
	if (dir_txn_get(txn, d->dbi[DIR_ALIASES], u->address, NULL, 0) == 0 ||
	    dir_txn_get(txn, d->dbi[DIR_LISTS], u->address, NULL, 0) == 0) {
		mdb_txn_abort(txn);
		return DIR_EXISTS;
	}
	if ((u->uid = uid_take(d, txn)) == 0) {
		mdb_txn_abort(txn);
		return DIR_FULL;
	}
	if (user_encode(u, text, sizeof(text)) == -1) {
		mdb_txn_abort(txn);
		return DIR_BAD;
	}
	v = dir_val(text);
	if ((rc = mdb_put(txn, d->dbi[DIR_USERS], &k, &v, MDB_NOOVERWRITE)) != 0) {
		mdb_txn_abort(txn);
		return rc == MDB_KEYEXIST ? DIR_EXISTS : dir_failed("write", rc);
	}
	rc = mdb_txn_commit(txn);
	return rc == 0 ? DIR_OK : dir_failed("commit", rc);
}

enum dir_status
directory_user_get(struct directory *d, const char *key, struct user *u)
{
	char text[DIRECTORY_VALUE_MAX];
	enum dir_status st = dir_get(d, DIR_USERS, key, text, sizeof(text));

	if (st != DIR_OK)
		return st;
	if (user_decode(key, text, u) == -1) {
		log_warnx("directory: the record of %s is damaged", key);
		return DIR_IO;
	}
	return DIR_OK;
}

enum dir_status
directory_user_put(struct directory *d, const struct user *u)
{
	char text[DIRECTORY_VALUE_MAX];

	if (user_encode(u, text, sizeof(text)) == -1)
		return DIR_BAD;
	return dir_put(d, DIR_USERS, u->address, text, 0);
}

/* The certificates of an account go with it; with new_key they follow it. */
static int
certs_of(struct directory *d, MDB_txn *txn, const char *key, const char *new_key)
{
	size_t len = strlen(key);
	MDB_cursor *c;
	MDB_val k, v;
	int rc;

	if ((rc = mdb_cursor_open(txn, d->dbi[DIR_CERTS], &c)) != 0)
		return rc;
	while ((rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) == 0) {
		char text[CERT_VALUE_MAX * 2], fingerprint[512];
		int n;

		if (v.mv_size <= len || v.mv_size > CERT_VALUE_MAX ||
		    k.mv_size > sizeof(fingerprint) || memcmp(v.mv_data, key, len) != 0 ||
		    ((const char *)v.mv_data)[len] != ' ')
			continue;
		if (new_key == NULL) {
			if ((rc = mdb_cursor_del(c, 0)) != 0)
				break;
			continue;
		}
		n = snprintf(text, sizeof(text), "%s%.*s", new_key,
		    (int)(v.mv_size - len), (const char *)v.mv_data + len);
		v.mv_data = text;
		v.mv_size = (size_t)n;
		/* Its place in the page moves. */
		memcpy(fingerprint, k.mv_data, k.mv_size);
		k.mv_data = fingerprint;
		if ((rc = mdb_cursor_put(c, &k, &v, MDB_CURRENT)) != 0)
			break;
	}
	mdb_cursor_close(c);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

enum dir_status
directory_user_del(struct directory *d, const char *key)
{
	MDB_val k = dir_val(key);
	MDB_txn *txn;
	int rc;

	if (*key == '\0' || k.mv_size > DIR_KEY_MAX)
		return DIR_NONE;
	if ((rc = mdb_txn_begin(d->env, NULL, 0, &txn)) != 0)
		return dir_failed("write", rc);
	/* Nobody of the same name later inherits list or certificates. */
	if ((rc = mdb_del(txn, d->dbi[DIR_USERS], &k, NULL)) != 0 ||
	    ((rc = mdb_del(txn, d->dbi[DIR_PERSONAL], &k, NULL)) != 0 &&
		rc != MDB_NOTFOUND) ||
	    (rc = certs_of(d, txn, key, NULL)) != 0) {
		mdb_txn_abort(txn);
		return dir_failed("delete", rc);
	}
	rc = mdb_txn_commit(txn);
	return rc == 0 ? DIR_OK : dir_failed("commit", rc);
}

static int
move_personal(struct directory *d, MDB_txn *txn, const char *key, const char *new_key)
{
	MDB_dbi dbi = d->dbi[DIR_PERSONAL];
	MDB_val k = dir_val(key), nk = dir_val(new_key), v;
	char text[DIRECTORY_VALUE_MAX];
	int rc = dir_txn_get(txn, dbi, key, text, sizeof(text));

	if (rc != 0)
		return rc == MDB_NOTFOUND ? 0 : rc;
	v = dir_val(text);
	if ((rc = mdb_put(txn, dbi, &nk, &v, 0)) != 0)
		return rc;
	return mdb_del(txn, dbi, &k, NULL);
}

enum dir_status
directory_user_rename(struct directory *d, const char *key, const char *new_key)
{
	char text[DIRECTORY_VALUE_MAX];
	struct user u;
	MDB_txn *txn;
	MDB_val ok = dir_val(key), nk = dir_val(new_key), v;
	enum dir_status st;
	const char *at = strrchr(new_key, '@');
	int rc, was_alias = 0;

	if (at == NULL || directory_domain_get(d, at + 1) != DIR_OK)
		return DIR_NONE;
	if (directory_list_get(d, new_key, NULL, 0) == DIR_OK)
		return DIR_EXISTS;
	if ((st = directory_user_get(d, key, &u)) != DIR_OK)
		return st;
	/* Back to the old name: the alias that the renaming left is in the way no more.
	 */
	if (dir_get(d, DIR_ALIASES, new_key, text, sizeof(text)) == DIR_OK) {
		if (strcmp(text, key) != 0)
			return DIR_EXISTS;
		was_alias = 1;
	}
	strlcpy(u.address, new_key, sizeof(u.address));
	u.since = time(NULL); /* somebody else may have had it before */
	if (mailbox_path(new_key, u.mailbox, sizeof(u.mailbox)) == -1 ||
	    user_encode(&u, text, sizeof(text)) == -1)
		return DIR_BAD;
	if ((rc = mdb_txn_begin(d->env, NULL, 0, &txn)) != 0)
		return dir_failed("write", rc);
	v = dir_val(text);
	if ((rc = mdb_put(txn, d->dbi[DIR_USERS], &nk, &v, MDB_NOOVERWRITE)) != 0 ||
	    (rc = mdb_del(txn, d->dbi[DIR_USERS], &ok, NULL)) != 0) {
		mdb_txn_abort(txn);
		return rc == MDB_KEYEXIST ? DIR_EXISTS : dir_failed("rename", rc);
	}
	v = dir_val(new_key);
	if ((was_alias && (rc = mdb_del(txn, d->dbi[DIR_ALIASES], &nk, NULL)) != 0) ||
	    (rc = mdb_put(txn, d->dbi[DIR_ALIASES], &ok, &v, 0)) != 0 ||
	    (rc = move_personal(d, txn, key, new_key)) != 0 ||
	    (rc = certs_of(d, txn, key, new_key)) != 0) {
		mdb_txn_abort(txn);
		return dir_failed("rename", rc);
	}
	rc = mdb_txn_commit(txn);
	return rc == 0 ? DIR_OK : dir_failed("commit", rc);
}

/* ---- aliases and routes ---- */

enum dir_status
directory_alias_put(struct directory *d, const char *key, const char *targets)
{
	struct user u;

	if (strlen(targets) > DIRECTORY_TARGETS_MAX)
		return DIR_BAD;
	if (directory_user_get(d, key, &u) == DIR_OK ||
	    directory_list_get(d, key, NULL, 0) == DIR_OK)
		return DIR_EXISTS;
	return dir_put(d, DIR_ALIASES, key, targets, 0);
}

enum dir_status
directory_alias_del(struct directory *d, const char *key)
{
	return dir_del(d, DIR_ALIASES, key);
}

enum dir_status
directory_alias_get(struct directory *d, const char *key, char *buf, size_t cap)
{
	return dir_get(d, DIR_ALIASES, key, buf, cap);
}

enum dir_status
directory_access_put(struct directory *d, const char *key, const char *value)
{
	return dir_put(d, DIR_ACCESS, key, value, 0);
}

enum dir_status
directory_access_get(struct directory *d, const char *key, char *buf, size_t cap)
{
	return dir_get(d, DIR_ACCESS, key, buf, cap);
}

enum dir_status
directory_access_del(struct directory *d, const char *key)
{
	return dir_del(d, DIR_ACCESS, key);
}

/* ---- groups and certificates ---- */

enum dir_status
directory_group_put(struct directory *d, const struct group *g, int is_new)
{
	char text[DIRECTORY_VALUE_MAX];

	if (group_encode(g, text, sizeof(text)) == -1)
		return DIR_BAD;
	return dir_put(d, DIR_GROUPS, g->name, text, is_new ? MDB_NOOVERWRITE : 0);
}

enum dir_status
directory_group_get(struct directory *d, const char *name, struct group *g)
{
	char text[DIRECTORY_VALUE_MAX];
	enum dir_status st = dir_get(d, DIR_GROUPS, name, text, sizeof(text));

	if (st != DIR_OK)
		return st;
	if (group_decode(name, text, g) == -1) {
		log_warnx("directory: the record of group %s is damaged", name);
		return DIR_IO;
	}
	return DIR_OK;
}

enum dir_status
directory_group_del(struct directory *d, const char *name)
{
	char key[512] = "", *value = malloc(DIRECTORY_VALUE_MAX);
	int used = value == NULL;
	struct user u;

	while (!used && directory_next(d, DIR_USERS, key, sizeof(key), value,
			    DIRECTORY_VALUE_MAX) == DIR_OK)
		used = user_decode(key, value, &u) == 0 && strcmp(u.group, name) == 0;
	free(value);
	return used ? DIR_BUSY : dir_del(d, DIR_GROUPS, name);
}

enum dir_status
directory_cert_put(struct directory *d, const char *fingerprint, const char *value)
{
	return strlen(value) > CERT_VALUE_MAX
		   ? DIR_BAD
		   : dir_put(d, DIR_CERTS, fingerprint, value, MDB_NOOVERWRITE);
}

enum dir_status
directory_cert_get(struct directory *d, const char *fingerprint, char *buf, size_t cap)
{
	return dir_get(d, DIR_CERTS, fingerprint, buf, cap);
}

enum dir_status
directory_cert_del(struct directory *d, const char *fingerprint)
{
	return dir_del(d, DIR_CERTS, fingerprint);
}

enum dir_status
directory_personal_put(struct directory *d, const char *key, const char *text)
{
	enum dir_status st;

	if (*text != '\0')
		return dir_put(d, DIR_PERSONAL, key, text, 0);
	st = dir_del(d, DIR_PERSONAL, key);
	return st == DIR_NONE ? DIR_OK : st;
}

enum dir_status
directory_personal_get(struct directory *d, const char *key, char *buf, size_t cap)
{
	return dir_get(d, DIR_PERSONAL, key, buf, cap);
}

int
directory_has_personal(struct directory *d)
{
	MDB_txn *txn;
	MDB_stat st;
	int yes;

	if (mdb_txn_begin(d->env, NULL, MDB_RDONLY, &txn) != 0)
		return 1;
	yes = mdb_stat(txn, d->dbi[DIR_PERSONAL], &st) != 0 || st.ms_entries > 0;
	mdb_txn_abort(txn);
	return yes;
}

enum dir_status
directory_route_put(struct directory *d, const char *domain, const char *url)
{
	return dir_put(d, DIR_ROUTES, domain, url, 0);
}

enum dir_status
directory_route_del(struct directory *d, const char *domain)
{
	return dir_del(d, DIR_ROUTES, domain);
}

/* from:ADDRESS, then from:@DOMAIN. */
static enum dir_status
route_of_sender(struct directory *d, const char *sender, char *route, size_t cap,
    char *matched, size_t matched_cap)
{
	struct address a;
	enum dir_status st;
	char key[ADDRESS_MAX + 8] = "from:", domain[256];

	if (sender[0] == '\0' || address_parse(sender, strlen(sender), &a) == -1 ||
	    address_fold_key(&a, key + 5, sizeof(key) - 5) == -1)
		return DIR_NONE;
	st = dir_get(d, DIR_ROUTES, key, route, cap);
	if (st == DIR_NONE &&
	    address_domain_ascii(a.domain, domain, sizeof(domain)) != -1) {
		snprintf(key, sizeof(key), "from:@%s", domain);
		st = dir_get(d, DIR_ROUTES, key, route, cap);
	}
	strlcpy(matched, key, matched_cap);
	return st;
}

enum dir_status
directory_route_find(struct directory *d, const char *domain, const char *sender,
    char *route, size_t cap, char *matched, size_t matched_cap)
{
	const char *p = domain;
	enum dir_status st;

	if ((st = dir_get(d, DIR_ROUTES, domain, route, cap)) != DIR_NONE) {
		strlcpy(matched, domain, matched_cap);
		return st;
	}
	while ((p = strchr(p, '.')) != NULL) {
		if ((st = dir_get(d, DIR_ROUTES, p, route, cap)) != DIR_NONE) {
			strlcpy(matched, p, matched_cap);
			return st;
		}
		p++;
	}
	st = route_of_sender(d, sender, route, cap, matched, matched_cap);
	if (st != DIR_NONE)
		return st;
	strlcpy(matched, "*", matched_cap);
	return dir_get(d, DIR_ROUTES, "*", route, cap);
}

bool
directory_route_by_sender(struct directory *d)
{
	char key[512] = "from", value[1024];

	return directory_next(d, DIR_ROUTES, key, sizeof(key), value, sizeof(value)) ==
		   DIR_OK &&
	       strncmp(key, "from:", 5) == 0;
}
