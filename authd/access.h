/* SPDX-License-Identifier: ISC */
#ifndef FIFE_ACCESS_H
#define FIFE_ACCESS_H

/*
 * Who is allowed and who is denied: networks, domains (with all below them) and
 * addresses, in the directory, so that they outlive a restart. Of several entries that
 * fit the narrowest counts, and allow before deny. A ban is an entry that authd makes
 * itself after guessing and that ends by itself; it concerns logins only.
 */

#include "authd/directory.h"

enum access_kind {
	ACCESS_NONE,
	ACCESS_ALLOW,
	ACCESS_DENY,
	ACCESS_BAN,
	ACCESS_JUNK /* in personal lists only */
};

#define ACCESS_KEY_MAX 330
#define ACCESS_BANS_MAX 65536

/* "allow", "deny", "ban", "junk" */
const char *access_word(enum access_kind);
enum access_kind access_kind_of(const char *word);

/* After the directory was opened; removes bans that are over. */
enum dir_status access_open(struct directory *, int64_t now_s);
/* The canonical form: 192.0.2.0/24, 2001:db8::/32, example.org, eve@example.org. 0 or -1.
 */
int access_subject(const char *word, char *out, size_t cap);
/* The network that a client is counted by: its IPv4 address or its IPv6 /64. 0, or -1:
 * not of the internet. */
int access_network(const char *client, char *out, size_t cap);
int access_is_loopback(const char *client);
/* subject in canonical form. until_s 0: for ever. */
enum dir_status access_put(struct directory *, enum access_kind, const char *subject,
    int64_t until_s, const char *reason);
enum dir_status access_del(struct directory *, enum access_kind, const char *subject);
/* Of a stored value. */
int access_value(const char *text, int64_t *until_s, char *reason, size_t cap);

/* What counts for a client or a sender; *subject gets the entry. */
enum access_kind access_client(
    struct directory *, const char *client, int64_t now_s, char *subject, size_t cap);
enum access_kind access_sender(
    struct directory *, const char *sender, char *subject, size_t cap);

/* How narrowly an entry fits: 0: not at all; more for a client than for any sender.
 * sender in canonical form, or "". */
int access_fit(const char *subject, const char *client, const char *sender);

#endif
