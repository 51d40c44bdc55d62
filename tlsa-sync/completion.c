/* The completion scripts, written from the table of commands: tlsa-sync --completion. */
#include <stdio.h>
#include <string.h>

#include "tlsa-sync/commands.h"

static enum ec text(struct bytes *out, const char *s)
{
	return bytes_append(out, slice_str(s));
}


static enum ec word(struct bytes *out, const char *before, const char *s, const char *after)
{
	enum ec ec = text(out, before);
	if (ec == EC_OK)
		ec = text(out, s);
	return ec == EC_OK ? text(out, after) : ec;
}

static enum ec names(struct bytes *out, const struct command_option *options, unsigned num, unsigned commands)
{
	enum ec ec = EC_OK;
	for (unsigned i = 0; ec == EC_OK && i < num; i++) {
		if (commands != 0 && (options[i].commands & commands) == 0)
			continue;
		if (options[i].letter != NULL)
			ec = word(out, " ", options[i].letter, "");
		if (ec == EC_OK)
			ec = word(out, " ", options[i].name, "");
	}
	return ec;
}

static enum ec commands(struct bytes *out)
{
	enum ec ec = EC_OK;
	for (int i = 0; ec == EC_OK && i < COMMAND_NUM; i++)
		ec = word(out, i > 0 ? " " : "", command_rows[i].name, "");
	return ec;
}

/* One line of a `case` for each command: its options, and whether an identity may follow. */
static enum ec cases(struct bytes *out)
{
	enum ec ec = EC_OK;
	for (int i = 0; ec == EC_OK && i < COMMAND_NUM; i++) {
		ec = word(out, "\t", command_rows[i].name, ") words=\"");
		if (ec == EC_OK)
			ec = names(out, command_options, command_num_options, 1u << i);
		if (ec == EC_OK)
			ec = text(out, "\"");
		if (ec == EC_OK && command_rows[i].identity)
			ec = text(out, "; operand=identity");
		if (ec == EC_OK)
			ec = text(out, " ;;\n");
	}
	return ec;
}

/* The identities stand in the effective configuration. */
static const char bash_head[] =
	"# Completion of tlsa-sync for bash; written by `tlsa-sync --completion bash`.\n"
	"_tlsa_sync_identities()\n"
	"{\n"
	"\t\"${COMP_WORDS[0]}\" \"$@\" --dump 2> /dev/null | awk '\n"
	"\t\t/^[^ ]/ { inside = ($1 == \"identities:\") }\n"
	"\t\tinside && $1 == \"-\" && $2 == \"name:\" { gsub(/\"/, \"\", $3); print $3 }\n"
	"\t\tinside && $1 == \"name:\" { gsub(/\"/, \"\", $2); print $2 }'\n"
	"}\n"
	"\n"
	"_tlsa_sync()\n"
	"{\n"
	"\tlocal word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command= words= operand= i\n"
	"\tlocal config=()\n"
	"\tCOMPREPLY=()\n"
	"\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	"\t\tcase ${COMP_WORDS[i]} in\n"
	"\t\t-c | --config) config=(-c \"${COMP_WORDS[i+1]}\"); ((i++)) ;;\n"
	"\t\t-s | --socket | --completion) ((i++)) ;;\n"
	"\t\t-*) ;;\n"
	"\t\t*) command=${COMP_WORDS[i]}; break ;;\n"
	"\t\tesac\n"
	"\tdone\n"
	"\tcase $before in\n"
	"\t-c | --config | -s | --socket) mapfile -t COMPREPLY < <(compgen -f -- \"$word\"); return ;;\n"
	"\t--completion) mapfile -t COMPREPLY < <(compgen -W 'bash zsh' -- \"$word\"); return ;;\n"
	"\t-n | --lines) return ;;\n"
	"\tesac\n"
	"\tcase $command in\n";

static const char bash_tail[] =
	"\tesac\n"
	"\tif [[ $operand == identity && $word != -* ]]; then\n"
	"\t\twords=$(_tlsa_sync_identities \"${config[@]}\")\n"
	"\tfi\n"
	"\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
	"}\n"
	"complete -F _tlsa_sync tlsa-sync\n";

static enum ec bash(struct bytes *out)
{
	enum ec ec = text(out, bash_head);
	if (ec == EC_OK)
		ec = text(out, "\t'') if [[ $word == -* ]]; then words=\"");
	if (ec == EC_OK)
		ec = names(out, command_globals, command_num_globals, 0);
	if (ec == EC_OK)
		ec = text(out, "\"; else words=\"");
	if (ec == EC_OK)
		ec = commands(out);
	if (ec == EC_OK)
		ec = text(out, "\"; fi ;;\n");
	if (ec == EC_OK)
		ec = cases(out);
	return ec == EC_OK ? text(out, bash_tail) : ec;
}

/* The same for zsh: commands and options, no identities. */
static enum ec zsh(struct bytes *out)
{
	enum ec ec = text(out, "#compdef tlsa-sync\n"
	                       "# Completion of tlsa-sync for zsh; written by `tlsa-sync --completion zsh`.\n"
	                       "local -a words_of\n"
	                       "local command=\n"
	                       "local i\n"
	                       "for ((i = 2; i < CURRENT; i++)); do\n"
	                       "\tcase ${words[i]} in\n"
	                       "\t-c | --config | -s | --socket | --completion) ((i++)) ;;\n"
	                       "\t-*) ;;\n"
	                       "\t*) command=${words[i]}; break ;;\n"
	                       "\tesac\n"
	                       "done\n"
	                       "case $command in\n"
	                       "'') words_of=(");
	if (ec == EC_OK)
		ec = commands(out);
	if (ec == EC_OK)
		ec = names(out, command_globals, command_num_globals, 0);
	if (ec == EC_OK)
		ec = text(out, ") ;;\n");
	for (int i = 0; ec == EC_OK && i < COMMAND_NUM; i++) {
		ec = word(out, "", command_rows[i].name, ") words_of=(");
		if (ec == EC_OK)
			ec = names(out, command_options, command_num_options, 1u << i);
		if (ec == EC_OK)
			ec = text(out, ") ;;\n");
	}
	return ec == EC_OK ? text(out, "esac\ncompadd -- $words_of\n") : ec;
}

enum ec command_completion(const char *shell, struct bytes *out)
{
	if (strcmp(shell, "bash") == 0)
		return bash(out);
	return strcmp(shell, "zsh") == 0 ? zsh(out) : EC_UNSUPPORTED;
}
