/*
 * What bounces say to people, see words.h. Plain words, one thing a sentence.
 *
 * SPDX-License-Identifier: ISC
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/compat/compat.h"
#include "queued/words.h"

static const char *const codes[LANGS] = { "en", "zh" };

static const char *const texts[WORDS][LANGS] = {
	[WORD_GREETING] = { "This is the mail system at %s.", "这是 %s 的邮件系统。" },
	[WORD_FAILED] = { "Your message of %s could not be delivered to the recipients "
			  "below. It was not delivered and will not be tried again.",
	    "您于%s发出的邮件未能送达下列收件人。系统不会再次尝试投递。" },
	[WORD_DELAYED] = { "Your message of %s could not be delivered yet. This is only "
			   "a warning: you need not send it again, it is still being "
			   "tried.",
	    "您于%s发出的邮件暂时还没有送达。这只是一个提醒：系统仍在尝试投递，您不必重新"
	    "发送。" },
	[WORD_DELIVERED] = { "Your message of %s was delivered, as you asked to be told.",
	    "您于%s发出的邮件已经送达。您曾要求得到这一通知。" },
	[WORD_RELAYED] = { "Your message of %s was handed on to a system that may not "
			   "report further.",
	    "您于%s发出的邮件已交给下一个邮件系统，该系统可能不会再发回通知。" },
	[WORD_EXPANDED] = { "Your message of %s has reached an address that stands for "
			    "others, and was sent on to them. You will not be told about "
			    "each of them.",
	    "您于%s发出的邮件已到达一个代表多人的地址，并已转发给他们。系统不会逐一通知您"
	    "每个人的投递结果。" },
	[WORD_SUBJECT_FAILED] = { "Your message could not be delivered",
	    "您的邮件未能送达" },
	[WORD_SUBJECT_DELAYED] = { "Your message is delayed", "您的邮件投递延迟" },
	[WORD_SUBJECT_DELIVERED] = { "Your message was delivered", "您的邮件已送达" },
	[WORD_SUBJECT_RELAYED] = { "Your message was handed on", "您的邮件已转交" },
	[WORD_SUBJECT_EXPANDED] = { "Your message was sent on to several",
	    "您的邮件已转发给多人" },
	[WORD_MORE] = { "And %zu more recipients.", "另有 %zu 位收件人。" },
	[WORD_SAID] = { "%s said:", "%s 的答复：" },
	[WORD_ADVICE] = { "What you can do: ", "您可以这样做：" },
	[WORD_LAST_TRY] = { "The last try failed for this: ",
	    "最后一次投递失败的原因：" },
	[WORD_UNTIL] = { "It will be tried until %s.", "系统将继续尝试投递，直到%s。" },
	[WORD_NUMBER] = { "The number of your message here is %s; a postmaster will ask "
			  "for it.",
	    "您的邮件在本系统中的编号是 %s，联系管理员时请提供这一编号。" },
	[WORD_DATE] = { "%a, %d %b %Y %H:%M:%S %z", "%Y年%m月%d日 %H:%M:%S" },
};

/* The class digit is left out: a temporary failure that lasted too long has the same
 * remedy. */
static const struct advice {
	const char *code; /* "": by words */
	const char *sentence[LANGS];
} advice[] = {
#define BLOCKED 0
	{ "", { "The other system refuses mail from this server because it is on a block "
		"list%s, named in its words above: tell your postmaster.",
		  "对方系统拒收本服务器的邮件，因为本服务器被列入了黑名单%s（见上面对方的"
		  "答复）：请告诉您的邮件管理员。" } },
#define OTHER 1
	{ "",
	    { "Read the words of the other system above: if they do not help, show this "
	      "message to your postmaster.",
		"请看上面对方系统的答复；如果仍不清楚，请把这封邮件给您的邮件管理员看"
		"。" } },
	{ "1.1", { "There is no mailbox of that name: check the spelling of the part "
		   "before the @, or ask the person for the current address by other "
		   "means.",
		     "没有这个名称的邮箱：请检查 @ "
		     "前面的部分是否写错，或用其他方式向对方询问现在的地址。" } },
	{ "1.2",
	    { "There is no domain of that name: check the spelling of the part after "
	      "the @.",
		"没有这个域名：请检查 @ 后面的部分是否写错。" } },
	{ "1.3", { "The address is not well formed: check it for typing errors.",
		     "这个地址的格式不对：请检查是否输入有误。" } },
	{ "1.6", { "The mailbox has moved: ask the person for the new address.",
		     "这个邮箱已经迁走：请向对方询问新的地址。" } },
	{ "1.7", { "Your own sender address was not accepted as valid: check the address "
		   "that is set in your mail program.",
		     "您的发件人地址不被承认：请检查邮件软件中设置的地址。" } },
	{ "1.8",
	    { "The domain of your own sender address was not accepted: check the "
	      "address that is set in your mail program, or ask your postmaster.",
		"您的发件人地址的域名不被承认：请检查邮件软件中设置的地址，或询问您的邮"
		"件管理员。" } },
	{ "1.10", { "That domain takes no mail at all: check the spelling of the part "
		    "after the @.",
		      "这个域名根本不接收邮件：请检查 @ 后面的部分是否写错。" } },
	{ "2.0", { "The mailbox cannot take mail now: try again later, or reach the "
		   "person by other means.",
		     "这个邮箱现在不能接收邮件：请稍后再试，或用其他方式联系对方。" } },
	{ "2.1", { "The mailbox is closed: reach the person by other means.",
		     "这个邮箱已经停用：请用其他方式联系对方。" } },
	{ "2.2", { "The mailbox is full: try again in some days, or tell the person by "
		   "other means.",
		     "对方的邮箱已满：请过几天再试，或用其他方式告诉对方。" } },
	{ "2.3",
	    { "The message is too large for that mailbox: send it in parts or share "
	      "the file by a link.",
		"邮件超过了对方邮箱允许的大小：请分几次发送，或改用链接分享文件。" } },
	{ "3.0",
	    { "The message was given up by a mail system on its way: read the reason "
	      "above, or ask your postmaster.",
		"途中的邮件系统放弃了这封邮件：请看上面的原因，或询问您的邮件管理员"
		"。" } },
	{ "3.1", { "The other system has no space left: try again later.",
		     "对方系统的存储空间已满：请稍后再试。" } },
	{ "3.2", { "The other system is busy or does not take mail now: try again later.",
		     "对方系统繁忙或暂不接收邮件：请稍后再试。" } },
	{ "3.4",
	    { "The message is larger than the other system takes: send it in parts "
	      "or share the file by a link.",
		"邮件超过了对方系统允许的大小：请分几次发送，或改用链接分享文件。" } },
	{ "4.1",
	    { "The other system did not answer: check the spelling of the part after "
	      "the @, and try again later.",
		"对方系统没有应答：请检查 @ 后面的部分是否写错，并稍后再试。" } },
	{ "4.2", { "The connection to the other system broke off: try again later.",
		     "与对方系统的连接中断：请稍后再试。" } },
	{ "4.3", { "Looking up the other domain failed: try again later, or check the "
		   "spelling of the part after the @.",
		     "查询对方域名失败：请稍后再试，或检查 @ 后面的部分是否写错。" } },
	{ "4.4", { "That domain has no mail server: check the spelling of the part after "
		   "the @.",
		     "这个域名没有邮件服务器：请检查 @ 后面的部分是否写错。" } },
	{ "4.6",
	    { "The message went round in a circle between mail systems: tell the "
	      "recipient's postmaster (or yours) about the forwarding loop.",
		"邮件在几个邮件系统之间循环转发：请把这一转发循环告诉对方（或您自己）的邮"
		"件管理员。" } },
	{ "4.7", { "It could not be delivered for too long and was given up: send it "
		   "again later, or reach the person by other means.",
		     "邮件长时间无法送达，系统已经放弃：请稍后重新发送，或用其他方式联系"
		     "对方。" } },
	{ "5.0",
	    { "The other system broke off while it took the message: try again "
	      "later, and ask your postmaster if it happens again.",
		"对方系统在接收邮件的过程中出错：请稍后再试；如果再次发生，请询问您的邮件"
		"管理员。" } },
	{ "5.3", { "The message has too many recipients: send it to fewer at a time.",
		     "收件人太多：请减少每次发送的收件人数。" } },
	{ "6.0", { "The other system could not take the form of the message: send it as "
		   "plain text or with a smaller attachment.",
		     "对方系统不接受这种格式的邮件：请改用纯文本发送，或减小附件。" } },
	{ "6.7",
	    { "The other system cannot take addresses with letters beyond ASCII: use "
	      "another address of that person.",
		"对方系统不支持含有非英文字母的地址：请使用对方的另一个地址。" } },
	{ "7.0",
	    { "The other system refused the message by its rules: read its words "
	      "above; your postmaster may have to talk to theirs.",
		"对方系统按其规则拒收了这封邮件：请看上面对方的答复；可能需要双方的邮件管"
		"理员联系解决。" } },
	{ "7.1",
	    { "You are not allowed to send to that address: if you should be, log in "
	      "to send, or ask the recipient's postmaster.",
		"您无权向这个地址发送邮件：如果您应当有权，请登录后再发送，或询问对方的邮"
		"件管理员。" } },
	{ "7.4",
	    { "The message asked for encryption that the other system does not "
	      "offer: send it without that demand, or by other means.",
		"邮件要求加密传输，而对方系统不支持：请取消这一要求后再发送，或改用其他方"
		"式。" } },
	{ "7.5",
	    { "A secure connection to the other system could not be made: your "
	      "postmaster or theirs has to look at the certificates.",
		"无法与对方系统建立安全连接：需要您的或对方的邮件管理员检查证书。" } },
	{ "7.8", { "A login was refused: tell your postmaster.",
		     "登录被拒绝：请告诉您的邮件管理员。" } },
	{ "7.23",
	    { "The message failed the sender policy (SPF) of your domain: send "
	      "through your own provider's server, or ask your postmaster.",
		"邮件没有通过您的域名的发件人策略（SPF）检查：请通过您自己的邮件服务商"
		"的服务器发送，或询问您的邮件管理员。" } },
	{ "7.25", { "The sending server has no proper name in reverse DNS: tell your "
		    "postmaster.",
		      "发送服务器没有正确的反向域名解析：请告诉您的邮件管理员。" } },
	{ "7.26",
	    { "The message failed the authentication that its domain demands "
	      "(DKIM, DMARC): send through your own provider's server, or ask your "
	      "postmaster.",
		"邮件没有通过其域名要求的身份验证（DKIM、DMARC）：请通过您自己的邮件服"
		"务商的服务器发送，或询问您的邮件管理员。" } },
};
#define ADVICE (sizeof(advice) / sizeof(advice[0]))
#define UNKNOWN_USER 2

enum lang
words_lang(const char *code)
{
	int l = 0;

	while (l < LANGS && strcmp(code, codes[l]) != 0)
		l++;
	return (enum lang)l;
}

const char *
words_code(enum lang l)
{
	return codes[l];
}

const char *
words_get(enum lang l, enum word w)
{
	return texts[w][l] != NULL ? texts[w][l] : "";
}

const char *
words_advice_row(size_t i, enum lang l, const char **sentence)
{
	if (i >= ADVICE)
		return NULL;
	*sentence = advice[i].sentence[l] != NULL ? advice[i].sentence[l] : "";
	return advice[i].code;
}

/* Does the reply speak of a block list? Then its name, when there is one: a word with
 * dots that has one of these in it. */
static int
names_list(const char *reply, char *name, size_t cap)
{
	static const char *const lists[] = { "spamhaus", "spamcop", "barracuda", "sorbs",
		"uceprotect", "blacklist", "blocklist", "black list", "block list",
		"blocked using", "dnsbl", "rbl" };
	static const char host[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789.-";
	int found = 0;

	name[0] = '\0';
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]) && name[0] == '\0'; i++) {
		const char *at = strcasestr(reply, lists[i]), *from, *end;

		if (at == NULL)
			continue;
		found = 1;
		if (strcmp(lists[i], "blocked using") == 0)
			at += strlen("blocked using ") < strlen(at)
				  ? strlen("blocked using ")
				  : 0;
		for (from = at; from > reply && strchr(host, from[-1]) != NULL; from--)
			;
		end = from + strspn(from, host);
		while (end > from && !isalnum((unsigned char)end[-1]))
			end--;
		if (memchr(from, '.', (size_t)(end - from)) != NULL && end - from < 80)
			snprintf(name, cap, " (%.*s)", (int)(end - from), from);
	}
	return found;
}

/* ADVICE when there is none. */
static size_t
row_of(const char *enhanced)
{
	size_t i;

	for (i = UNKNOWN_USER; i < ADVICE; i++) {
		if (strcmp(enhanced + 2, advice[i].code) == 0)
			break;
	}
	return i;
}

int
words_advice_known(const char *enhanced)
{
	return strlen(enhanced) > 2 && row_of(enhanced) < ADVICE;
}

void
words_advice(enum lang l, const char *enhanced, const char *reply, char *buf, size_t cap)
{
	const struct advice *a = &advice[OTHER];
	char name[100];

	if (names_list(reply, name, sizeof(name))) {
		const char *s = advice[BLOCKED].sentence[l], *at = strstr(s, "%s");

		snprintf(buf, cap, "%.*s%s%s", (int)(at - s), s, name, at + 2);
		return;
	}
	if (strlen(enhanced) > 2) {
		size_t i = row_of(enhanced);

		if (i < ADVICE)
			a = &advice[i];
		else if (enhanced[2] == '1')
			a = &advice[UNKNOWN_USER];
	}
	strlcpy(buf, a->sentence[l], cap);
}
