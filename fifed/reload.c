/* SPDX-License-Identifier: ISC */
/*
 * A new configuration without a dropped connection: read it, open what is new,
 * and only when all of that has succeeded tell the daemons. A mistake leaves the
 * old configuration in force and is answered with its line.
 */
#include "fifed/internal.h"

#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/log.h"

#define RELOAD_WAIT_S 20

static void
refuse(struct ctl *ctl, const char *why)
{
	log_warnx("reload: %s; the old configuration stays in force", why);
	if (ctl != NULL)
		ctl_done(ctl, CTL_REFUSED, "%s", why);
}

static void
on_gone(struct ctl *ctl, void *arg)
{
	struct suite *s = arg;

	if (s->reload_ctl == ctl)
		s->reload_ctl = NULL;
}

static void
finish(struct suite *s, int status, const char *text)
{
	struct ctl *ctl = s->reload_ctl;

	s->reload_ctl = NULL;
	if (s->ev_reload != NULL)
		event_del(s->ev_reload);
	if (ctl != NULL)
		ctl_done(ctl, status, text != NULL ? "%s" : NULL, text);
}

static void
on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct suite *s = arg;
	char late[400] = "not every daemon has taken the configuration yet:";

	for (size_t i = 0; i < s->n_children; i++)
		if (!s->children[i].ready || s->children[i].generation != s->generation) {
			strlcat(late, " ", sizeof(late));
			strlcat(late, s->children[i].name, sizeof(late));
		}
	log_warnx("reload: %s", late);
	finish(s, CTL_TEMPFAIL, late);
}

void
reload_ready(struct suite *s)
{
	if (s->reload_ctl == NULL)
		return;
	for (size_t i = 0; i < s->n_children; i++)
		if (child_wanted(&s->children[i]) &&
		    (!s->children[i].ready || s->children[i].generation != s->generation))
			return;
	finish(s, CTL_OK, NULL);
}

/* What processes are made of cannot change below them. */
static const char *
needs_restart(const struct conf *old, const struct conf *new)
{
	if (strcmp(old->state, new->state) != 0)
		return "state";
	if (strcmp(old->libexec, new->libexec) != 0)
		return "libexec";
	if (old->uid_first != new->uid_first || old->uid_last != new->uid_last)
		return "uids";
	return NULL;
}

void
reload(struct suite *s, struct ctl *ctl)
{
	static struct listener list[SUITE_LISTENERS_MAX];
	struct timeval tv = { RELOAD_WAIT_S, 0 };
	struct site_scripts site = { .fd = -1 };
	struct msg_generation g;
	struct conf *new;
	const char *what;
	char e[1400];
	size_t n;

	if (s->stopping) {
		if (ctl != NULL)
			ctl_done(ctl, CTL_TEMPFAIL, "the suite is stopping");
		return;
	}
	if (s->reload_ctl != NULL) {
		if (ctl != NULL)
			ctl_done(ctl, CTL_TEMPFAIL, "another reload is on its way");
		return;
	}
	if ((new = conf_load(s->conf_path, e, sizeof(e))) == NULL) {
		refuse(ctl, e);
		return;
	}
	if ((what = needs_restart(s->conf, new)) != NULL) {
		snprintf(e, sizeof(e),
		    "%s: \"%s\" has changed, which needs stop and start", s->conf_path,
		    what);
		refuse(ctl, e);
		conf_free(new);
		return;
	}
	if (conf_check_files(new, e, sizeof(e)) == -1 ||
	    site_open(new, &site, e, sizeof(e)) == -1 ||
	    listen_open(s, new, list, &n, e, sizeof(e)) == -1) {
		refuse(ctl, e);
		site_close(&site);
		conf_free(new);
		return;
	}
	site_close(&s->site);
	s->site = site;
	listen_adopt(s, list, n);
	new->smtpd_workers = s->conf->smtpd_workers;
	conf_free(s->conf);
	s->conf = new;
	log_init("fifed", new->debug);
	g.generation = ++s->generation;
	for (size_t i = 0; i < s->n_children; i++) {
		struct child *c = &s->children[i];

		if (c->ch == NULL)
			continue;
		conf_send(s, c);
		(void)channel_send(c->ch, MSG_FIFED_ANY_START, 0, &g, -1);
	}
	child_start_wanted(s);
	log_info("configuration reloaded");
	if (ctl == NULL)
		return;
	if (s->ev_reload == NULL)
		s->ev_reload = event_new(s->base, -1, 0, on_timeout, s);
	if (s->ev_reload == NULL) {
		ctl_done(ctl, CTL_OK, NULL);
		return;
	}
	s->reload_ctl = ctl;
	ctl_on_gone(ctl, on_gone, s);
	event_add(s->ev_reload, &tv);
}
