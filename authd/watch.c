/* SPDX-License-Identifier: ISC */
/* Accounts that look stolen; see watch.h. */
#include "authd/watch.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "authd/access.h"
#include "authd/auth.h"
#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"

/* What a crash may forget. */
#define SAVE_S 15
#define UNTOLD_MAX 16
#define NAMED_MAX 3

static struct usage *usage;
static struct event *ev_save;
static struct msg_notice *untold[UNTOLD_MAX];
static size_t n_untold;
/* For the status: how many, and the first of them. */
static struct {
	int known;
	size_t n;
	char names[NAMED_MAX][ADDRESS_MAX + 1];
	char why[160]; /* of the first */
} suspects;

static void
on_save(evutil_socket_t fd, short what, void *arg)
{
	(void)usage_save(usage);
}

void
watch_open(const char *path)
{
	struct timeval tv = { .tv_sec = SAVE_S };

	if ((usage = usage_new()) == NULL) {
		log_warnx("no memory: nobody is limited");
		return;
	}
	(void)usage_load(usage, path, wall_s());
	ev_save = event_new(daemon_base(), -1, EV_PERSIST, on_save, NULL);
	if (ev_save == NULL || event_add(ev_save, &tv) == -1)
		log_warnx("no timer: what was sent is saved at the end only");
}

void
watch_close(void)
{
	if (usage != NULL)
		(void)usage_save(usage);
	usage_close();
}

struct usage *
watch_usage(void)
{
	return usage;
}

static void
tell(const struct msg_notice *n)
{
	struct channel *ch = daemon_peer(ROLE_QUEUED);

	if (ch != NULL && channel_send(ch, MSG_AUTHD_QUEUED_NOTICE, 0, n, -1) == 0)
		return;
	if (n_untold < UNTOLD_MAX &&
	    (untold[n_untold] = malloc(sizeof(*untold[0]))) != NULL)
		*untold[n_untold++] = *n;
}

void
watch_queued_there(struct channel *ch)
{
	for (size_t i = 0; i < n_untold; i++) {
		(void)channel_send(ch, MSG_AUTHD_QUEUED_NOTICE, 0, untold[i], -1);
		free(untold[i]);
	}
	n_untold = 0;
}

static const char *
consequence(void)
{
	switch (auth.watch.action) {
	case WATCH_THROTTLE:
		return "It may send to few recipients an hour now; everything else is "
		       "answered with 450.";
	case WATCH_HOLD:
		return "What it sends is taken, and held in the queue.";
	default:
		return "Nothing is done about it, as fife.conf says.";
	}
}

static void
tell_postmaster(const struct user *u)
{
	struct msg_notice n = { 0 };
	char held[900] = "";

	if (auth.watch.action == WATCH_HOLD)
		snprintf(held, sizeof(held),
		    "What was held stays so until you let it go, or throw it away:\r\n"
		    "    fifectl queue release --from %s --state quarantined\r\n"
		    "    fifectl queue remove --from %s --state quarantined\r\n",
		    u->address, u->address);
	snprintf(n.subject, sizeof(n.subject), "Is %.200s stolen?", u->address);
	snprintf(n.text, sizeof(n.text),
	    "The account %s sends as if somebody else had its password:\r\n"
	    "%s.\r\n\r\n%s\r\n\r\n"
	    "What it has sent:      fifectl log smtp --match user=%s\r\n"
	    "What waits of it:      fifectl queue list --from %s\r\n"
	    "Who is logged in:      fifectl user sessions %s\r\n\r\n"
	    "If it is stolen, give it a new password, which ends all its sessions and\r\n"
	    "lets it send again:\r\n"
	    "                       fifectl user passwd %s\r\n"
	    "If all is well:        fifectl user set %s suspect=no\r\n%s",
	    u->address, u->suspect, consequence(), u->address, u->address, u->address,
	    u->address, u->address, held);
	tell(&n);
}

static int
exempt(const char *client)
{
	return usage == NULL || auth.watch.action == WATCH_OFF ||
	       (auth.trust_loopback && access_is_loopback(client));
}

static void
judge(const char *address, const char *client)
{
	const struct usage_watch w = { .window_s = auth.watch.window_s,
		.volume = auth.watch.volume,
		.volume_factor = auth.watch.volume_factor,
		.refused = auth.watch.refused,
		.networks = auth.watch.networks };
	uint32_t value, usual, minutes = (w.window_s + 59) / 60;
	enum usage_alarm alarm =
	    usage_alarm(usage, address, &w, wall_s(), &value, &usual);
	struct user u;

	if (alarm == USAGE_QUIET ||
	    directory_user_get(auth.directory, address, &u) != DIR_OK ||
	    u.suspect[0] != '\0')
		return;
	if (alarm == USAGE_VOLUME)
		snprintf(u.suspect, sizeof(u.suspect),
		    "mail to %u recipients within %u minutes, never above %u in the last "
		    "%d days",
		    value, minutes, usual, USAGE_DAYS);
	else if (alarm == USAGE_REFUSED)
		snprintf(u.suspect, sizeof(u.suspect),
		    "%u recipients within %u minutes that do not exist or refused", value,
		    minutes);
	else
		snprintf(u.suspect, sizeof(u.suspect),
		    "logins to send mail from %u networks within %u minutes", value,
		    minutes);
	u.suspect_since = wall_s();
	if (directory_user_put(auth.directory, &u) != DIR_OK)
		return;
	suspects.known = 0;
	log_fact(LOG_LOGIN, LOGL_WARN, "account-suspect", KS("user", u.address),
	    KS("client", client), KS("reason", u.suspect),
	    KS("action", auth.watch.action == WATCH_HOLD       ? "hold"
			 : auth.watch.action == WATCH_THROTTLE ? "throttle"
							       : "note"));
	tell_postmaster(&u);
	explicit_bzero(&u, sizeof(u));
}

void
watch_sent(const char *address, const char *client)
{
	if (exempt(client))
		return;
	usage_sent(usage, address, auth.watch.window_s, wall_s());
	judge(address, client);
}

void
watch_refused(const char *address, const char *client)
{
	if (exempt(client))
		return;
	usage_refused(usage, address, auth.watch.window_s, wall_s());
	judge(address, client);
}

void
watch_login(const char *address, const char *client)
{
	if (exempt(client))
		return;
	usage_network(usage, address, client, wall_s());
	judge(address, client);
}

void
watch_forgive(struct user *u)
{
	if (u->suspect[0] != '\0')
		log_fact(LOG_LOGIN, LOGL_INFO, "account-cleared", KS("user", u->address));
	u->suspect[0] = '\0';
	u->suspect_since = 0;
	if (usage != NULL)
		usage_forgive(usage, u->address);
	suspects.known = 0;
}

void
watch_look_again(void)
{
	suspects.known = 0;
}

#define VALUE_MAX 32768

static void
look(void)
{
	char key[512] = "", *value = malloc(VALUE_MAX);
	struct user u;

	suspects.n = 0;
	suspects.known = value != NULL;
	while (value != NULL && directory_next(auth.directory, DIR_USERS, key,
				    sizeof(key), value, VALUE_MAX) == DIR_OK) {
		/* Records are decoded for those only that may be one. */
		if (strstr(value, "\nsuspect=\n") != NULL ||
		    user_decode(key, value, &u) == -1 || u.suspect[0] == '\0')
			continue;
		if (suspects.n < NAMED_MAX)
			strlcpy(
			    suspects.names[suspects.n], key, sizeof(suspects.names[0]));
		if (suspects.n++ == 0)
			strlcpy(suspects.why, u.suspect, sizeof(suspects.why));
	}
	freezero(value, value == NULL ? 0 : VALUE_MAX);
}

const char *
watch_degraded(char *buf, size_t cap)
{
	if (!suspects.known)
		look();
	if (suspects.n == 0)
		return NULL;
	if (suspects.n == 1)
		snprintf(
		    buf, cap, "%s looks stolen: %s", suspects.names[0], suspects.why);
	else
		snprintf(buf, cap, "%zu accounts look stolen: %s, %s%s%s%s", suspects.n,
		    suspects.names[0], suspects.names[1], suspects.n > 2 ? ", " : "",
		    suspects.n > 2 ? suspects.names[2] : "",
		    suspects.n > 3 ? " and others" : "");
	return buf;
}
