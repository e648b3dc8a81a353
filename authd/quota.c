/* SPDX-License-Identifier: ISC */
/* How full mailboxes are, and the warnings to their users; see quota.h. */
#include "authd/quota.h"

#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "authd/account.h"
#include "authd/auth.h"
#include "authd/domain.h"
#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"

#define SAVE_S 15 /* what a crash may forget */
/* When somebody removed its files behind our back, a mailbox is not full for ever. */
#define LOOK_AGAIN_S 300

static struct quota_table *table;
static struct event *ev_save;

static void
on_save(evutil_socket_t fd, short what, void *arg)
{
	(void)quota_save(table);
}

void
quota_open(const char *path)
{
	struct timeval tv = { .tv_sec = SAVE_S };

	if ((table = quota_table_new()) == NULL) {
		log_warnx("no memory: full mailboxes are not known at RCPT");
		return;
	}
	(void)quota_load(table, path);
	ev_save = event_new(daemon_base(), -1, EV_PERSIST, on_save, NULL);
	if (ev_save == NULL || event_add(ev_save, &tv) == -1)
		log_warnx("no timer: what mailboxes hold is saved at the end only");
}

void
quota_close(void)
{
	if (table != NULL)
		(void)quota_save(table);
	quota_unload();
}

static struct quota_limits
limits_of(const struct user *u)
{
	return (struct quota_limits){ account_quota(u, LIMIT_QUOTA),
		account_quota(u, LIMIT_QUOTA_MESSAGES) };
}

/* ---- warnings ---- */

/* 1.5 GiB, for people. */
static void
format_size(uint64_t n, char *buf, size_t cap)
{
	static const char *const units[] = { "octets", "KiB", "MiB", "GiB", "TiB" };
	double v = (double)n;
	size_t i = 0;

	for (; v >= 1024 && i + 1 < sizeof(units) / sizeof(units[0]); i++)
		v /= 1024;
	snprintf(buf, cap, i == 0 || v >= 100 ? "%.0f %s" : "%.1f %s", v, units[i]);
}

static int
is_chinese(const struct user *u)
{
	const char *at = strrchr(u->address, '@');
	char settings[DOMAIN_SETTINGS_MAX];
	struct domain_settings ds;

	if (at == NULL || directory_domain_settings(auth.directory, at + 1, settings,
			      sizeof(settings)) != DIR_OK)
		return 0;
	domain_settings_parse(settings, &ds);
	return strcmp(ds.language, "zh") == 0;
}

static void
write_english(struct msg_notice *n, const struct user *u, unsigned int percent,
    const char *holds, int soft)
{
	snprintf(
	    n->subject, sizeof(n->subject), "Your mailbox is %u per cent full", percent);
	snprintf(n->text, sizeof(n->text),
	    "Your mailbox %s is %u per cent full:\r\n%s.\r\n\r\n"
	    "When it is full, mail to you %s.\r\n\r\n"
	    "Delete what you do not need any more, and empty the trash, or ask your\r\n"
	    "postmaster for more room.\r\n",
	    u->address, percent, holds,
	    soft ? "waits at its sender's host, and goes back after some days"
		 : "goes back to its sender");
}

static void
write_chinese(struct msg_notice *n, const struct user *u, unsigned int percent,
    const char *holds, int soft)
{
	snprintf(n->subject, sizeof(n->subject), "您的邮箱已用 %u%%", percent);
	snprintf(n->text, sizeof(n->text),
	    "您的邮箱 %s 已用 %u%%：\r\n%s。\r\n\r\n"
	    "邮箱满了以后，%s。\r\n\r\n"
	    "请删除不再需要的邮件，并清空废件箱；或者请邮件管理员增加您的空间。\r\n",
	    u->address, percent, holds,
	    soft ? "寄给您的邮件将在对方的服务器上等待，几天后退回"
		 : "寄给您的邮件将退回给发件人");
}

/* 0; -1: queued is not there, another report will do. */
static int
warn_user(const struct user *u, const struct quota_use *use, const struct quota_limits *l,
    unsigned int percent)
{
	struct channel *ch = daemon_peer(ROLE_QUEUED);
	int zh = is_chinese(u), soft = !auth.quota_hard;
	char holds[200] = "", used[32], limit[32];
	struct msg_notice n = { 0 };

	if (ch == NULL)
		return -1;
	if (l->octets != 0) {
		format_size(use->octets, used, sizeof(used));
		format_size(l->octets, limit, sizeof(limit));
		snprintf(holds, sizeof(holds), zh ? "已用 %s，共 %s" : "%s of %s", used,
		    limit);
	}
	if (l->messages != 0)
		snprintf(holds + strlen(holds), sizeof(holds) - strlen(holds),
		    zh ? "%s%llu 封邮件，最多 %llu 封" : "%s%llu of %llu messages",
		    holds[0] == '\0' ? ""
		    : zh             ? "；"
				     : ", ",
		    (unsigned long long)use->messages, (unsigned long long)l->messages);
	strlcpy(n.recipient, u->address, sizeof(n.recipient));
	(zh ? write_chinese : write_english)(&n, u, percent, holds, soft);
	return channel_send(ch, MSG_AUTHD_QUEUED_NOTICE, 0, &n, -1);
}

static void
judge(const struct user *u, struct quota_use *use)
{
	struct quota_limits l = limits_of(u);
	unsigned int percent = quota_percent(use, &l);
	uint8_t level = quota_level(percent, use->warned);

	if (level == use->warned)
		return;
	if (level > use->warned) {
		if (!u->disabled && !u->closed && warn_user(u, use, &l, percent) == -1)
			return;
		log_fact(LOG_DELIVERY, LOGL_INFO, "quota-warning", KS("user", u->address),
		    KU("percent", percent), KU("octets", use->octets),
		    KU("messages", use->messages));
	}
	use->warned = level;
	quota_table_changed(table, use);
}

/* ---- what is asked and told ---- */

void
quota_report(const struct msg_mbox_used_by *m)
{
	struct quota_use *use;
	struct user u;

	/* mboxd names what is in the directory; anything else is of no interest. */
	if (table == NULL || auth_user_of_mailbox(m->mailbox, &u) == -1 ||
	    (use = quota_table_get(table, m->mailbox)) == NULL)
		return;
	use->octets = m->octets;
	use->messages = m->messages;
	use->when = wall_s();
	quota_table_changed(table, use);
	judge(&u, use);
}

void
quota_review(const struct user *u)
{
	if (table != NULL && quota_table_find(table, u->mailbox) != NULL)
		judge(u, quota_table_get(table, u->mailbox));
}

void
quota_changed(const struct user *u)
{
	struct channel *mboxd = daemon_peer(ROLE_MBOXD);
	struct quota_limits l = limits_of(u);
	struct msg_mbox_limits m = { .quota = l.octets,
		.quota_messages = l.messages,
		.quota_hard = (uint8_t)auth.quota_hard };

	quota_review(u);
	strlcpy(m.mailbox, u->mailbox, sizeof(m.mailbox));
	/* Without mboxd there is no such process. */
	if (mboxd != NULL)
		(void)channel_send(mboxd, MSG_AUTHD_MBOXD_LIMITS, 0, &m, -1);
}

static void
look_again(const struct user *u, struct quota_use *use)
{
	struct channel *mboxd = daemon_peer(ROLE_MBOXD);
	struct msg_mbox_dir d = { .uid = u->uid };
	int64_t now = wall_s();

	if (mboxd == NULL || (now - use->when < LOOK_AGAIN_S && now >= use->when))
		return;
	use->when = now; /* not with each RCPT */
	strlcpy(d.mailbox, u->mailbox, sizeof(d.mailbox));
	(void)channel_send(mboxd, MSG_AUTHD_MBOXD_LOOK, 0, &d, -1);
}

enum quota_answer
quota_check(const struct user *u, uint64_t size)
{
	const struct quota_use *use =
	    table != NULL ? quota_table_find(table, u->mailbox) : NULL;
	struct quota_limits l = limits_of(u);
	enum quota_answer a = quota_answer(use, &l, size);

	if (a == QUOTA_FULL && use != NULL)
		look_again(u, quota_table_get(table, u->mailbox));
	return a;
}

int
quota_of(const struct user *u, struct quota_use *use, unsigned int *percent)
{
	const struct quota_use *known =
	    table != NULL ? quota_table_find(table, u->mailbox) : NULL;
	struct quota_limits l = limits_of(u);

	if (known == NULL)
		return -1;
	*use = *known;
	*percent = quota_percent(known, &l);
	return 0;
}

void
quota_removed(const char *mailbox)
{
	if (table != NULL)
		quota_table_remove(table, mailbox);
}

void
quota_renamed(const char *from, const char *to)
{
	if (table != NULL)
		quota_table_rename(table, from, to);
}
