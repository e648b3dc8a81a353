/* SPDX-License-Identifier: ISC */
/* The languages of POP3's replies; see pop3_text.h. */
#include "common/pop3/pop3_text.h"

#include <event2/buffer.h>
#include <string.h>
#include <strings.h>

static const struct {
	const char *en, *zh;
} texts[] = {
	{ "begin TLS negotiation", "请开始 TLS 协商" },
	{ "TLS is active already", "TLS 已经启用" },
	{ "TLS is not available", "TLS 不可用" },
	{ "password please", "请输入密码" },
	{ "user name too long", "用户名过长" },
	{ "not UTF-8", "不是 UTF-8" },
	{ "USER first", "请先发送 USER" },
	{ "wrong number of arguments", "参数个数不对" },
	{ "unknown command", "未知命令" },
	{ "unknown command, or log in first", "未知命令，或请先登录" },
	{ "bye", "再见" },
	{ "authentication cancelled", "认证已取消" },
	{ "invalid base64", "base64 无效" },
	{ "response too long", "应答过长" },
	{ "out of memory", "内存不足" },
	{ "out of memory, nothing deleted", "内存不足，未删除任何邮件" },
	{ "unsupported mechanism", "不支持的认证机制" },
	{ "login is refused without TLS", "没有 TLS 时拒绝登录" },
	{ "invalid user name or password", "用户名或密码错误" },
	{ "logged in", "登录成功" },
	{ "capabilities", "功能列表" },
	{ "mechanisms", "认证机制列表" },
	{ "UTF-8 is enabled", "UTF-8 已启用" },
	{ "no STLS after UTF8", "UTF8 之后不能再用 STLS" },
	{ "languages", "语言列表" },
	{ "language changed", "语言已更改" },
	{ "no such language", "没有这种语言" },
	{ "no such message", "没有这封邮件" },
	{ "message is deleted", "邮件已删除" },
	{ "message deleted", "邮件已标记为删除" },
	{ "message is gone", "邮件已不存在" },
	{ "message cannot be read", "邮件无法读取" },
	{ "the header is UTF-8: enable it before the login",
	    "邮件头含 UTF-8，请在登录前启用" },
	{ "deletions undone", "已撤销删除" },
	{ "TOP needs a message and a number of lines", "TOP 需要邮件编号和行数" },
	{ "some deleted messages were not removed", "部分已删除的邮件未能移除" },
	{ "line too long", "行过长" },
	{ "lines end in CRLF", "行必须以 CRLF 结束" },
	{ "the maildrop is in use by another session", "邮箱正被另一个会话使用" },
	{ "logged in too soon after the last time, wait a while",
	    "距上次登录太近，请稍候" },
	{ "the mailbox cannot be opened now", "邮箱现在无法打开" },
	{ "Mailbox unavailable, try again later", "邮箱不可用，请稍后再试" },
	{ "Login is not possible now, try again later", "现在无法登录，请稍后再试" },
	{ "Too many failed logins", "登录失败次数过多" },
};

const char *
pop3_text(enum pop3_lang lang, const char *english)
{
	if (lang == POP3_ZH)
		for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
			if (strcmp(texts[i].en, english) == 0)
				return texts[i].zh;
	return english;
}

void
pop3_reply(
    struct evbuffer *out, enum pop3_lang lang, const char *status, const char *text)
{
	const char *code = text, *end = text[0] == '[' ? strstr(text, "] ") : NULL;

	if (end != NULL)
		text = end + 2;
	evbuffer_add_printf(out, "%s %.*s%s\r\n", status, (int)(text - code), code,
	    pop3_text(lang, text));
}

/* Does the range begin with these subtags? */
static int
begins(const char *range, const char *subtags)
{
	size_t n = strlen(subtags);

	return strncasecmp(range, subtags, n) == 0 &&
	       (range[n] == '\0' || range[n] == '-');
}

int
pop3_lang_find(const char *range, enum pop3_lang *lang)
{
	if (strcmp(range, "*") == 0 || begins(range, "en"))
		*lang = POP3_EN;
	else if (strcasecmp(range, "zh") == 0 || begins(range, "zh-hans") ||
		 begins(range, "zh-cn") || begins(range, "zh-sg"))
		*lang = POP3_ZH;
	else
		return -1;
	return 0;
}

const char *
pop3_lang_tag(enum pop3_lang lang)
{
	return lang == POP3_ZH ? "zh" : "en";
}

void
pop3_lang_list(struct evbuffer *out)
{
	evbuffer_add_printf(out, "en English\r\nzh 中文\r\n");
}

int
pop3_lang_command(struct evbuffer *out, enum pop3_lang *lang, const char *arg)
{
	if (*arg == '\0') {
		pop3_reply(out, *lang, "+OK", "languages");
		pop3_lang_list(out);
		evbuffer_add(out, ".\r\n", 3);
		return 0;
	}
	if (pop3_lang_find(arg, lang) == -1)
		return -1;
	evbuffer_add_printf(out, "+OK %s %s\r\n", pop3_lang_tag(*lang),
	    pop3_text(*lang, "language changed"));
	return 0;
}
