"""Print what makes the shell complete kerasish's commands, options and files.

bash: eval "$(kerasish completion bash)"     in ~/.bashrc
zsh:  eval "$(kerasish completion zsh)"      in ~/.zshrc
"""

import argparse

HELP = "print what makes bash or zsh complete commands and options"
_SHELLS = ("bash", "zsh")
_BASH = """\
_kerasish_complete() {
    local word=${COMP_WORDS[COMP_CWORD]} command='' words='' i
    for ((i = 1; i < COMP_CWORD; i++)); do
        if [[ ${COMP_WORDS[i]} != -* ]]; then command=${COMP_WORDS[i]}; break; fi
    done
    COMPREPLY=()
    case $command in
%(cases)s
    esac
    if [[ -z $command || $word == -* || $command == completion ]]; then
        COMPREPLY=($(compgen -W "$words" -- "$word"))
    else
        compopt -o filenames 2>/dev/null
        COMPREPLY=($(compgen -f -- "$word"))
    fi
}
complete -F _kerasish_complete kerasish
"""
_ZSH = "autoload -Uz compinit bashcompinit && compinit && bashcompinit\n"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes.

    Args:
        parser: The command's parser.
    """
    parser.add_argument("shell", choices=_SHELLS, metavar="SHELL", help="bash or zsh")


def run_for(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Print the shell's program, made from the parser of all commands.

    Args:
        parser: Parser of all commands.
        options: Parsed arguments.
    """
    print(script(parser, options.shell), end="")
    return 0


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The program that a shell runs.

    Args:
        parser: That of all commands.
        shell: `"bash"` or `"zsh"`.
    """
    (commands,) = (a.choices for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    words = {"''": [*commands, *_options(parser)]}
    words |= {name: _options(command) for name, command in commands.items()}
    words["completion"] = [*_SHELLS, *words["completion"]]
    cases = [f'        {name}) words="{" ".join(known)}" ;;' for name, known in words.items()]
    bash = _BASH % {"cases": "\n".join(cases)}
    return bash if shell == "bash" else _ZSH + bash


def _options(parser):
    return [option for action in parser._actions for option in action.option_strings]
