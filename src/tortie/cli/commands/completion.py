"""Let a shell complete commands, options, kinds, namespaces and names.

  source <(tortie completion bash)           in ~/.bashrc
  source <(tortie completion zsh)            in ~/.zshrc, after compinit
  tortie completion fish | source            in ~/.config/fish/config.fish

kubectl completes its plugin by itself where `kubectl_complete-tortie` is in $PATH, which is
installed beside `tortie`.
"""

import argparse

_BASH = r"""_tortie() {
    local IFS=$'\n' found
    found=$(tortie __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null) || return 0
    if [[ $found == :files ]]; then
        compopt -o filenames 2>/dev/null
        COMPREPLY=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}"))
        return 0
    fi
    [[ $found == */ ]] && compopt -o nospace 2>/dev/null
    COMPREPLY=($found)
}
complete -F _tortie tortie
"""

_ZSH = r"""#compdef tortie
_tortie() {
    local -a found
    found=("${(@f)$(tortie __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ ${found[1]} == :files ]]; then
        _files
    else
        compadd -- ${(@)found:#}
    fi
}
compdef _tortie tortie
"""

_FISH = r"""function __tortie_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l found (tortie __complete $words[2..] 2>/dev/null)
    if test "$found" = ":files"
        __fish_complete_path (commandline -ct)
    else
        printf '%s\n' $found
    end
end
complete -c tortie -f -a '(__tortie_complete)'
"""

SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which shell."""
    parser.add_argument("shell", choices=tuple(SCRIPTS))


def run(options: argparse.Namespace) -> int:
    """Print its script."""
    print(SCRIPTS[options.shell], end="")
    return 0
