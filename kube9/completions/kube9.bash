# Completion of kube9 for bash 4 or newer: source <(kube9 completion bash)

_kube9() {
    # The words up to the cursor as the shell would take them. Nothing of the line is ever evaluated.
    local line=${COMP_LINE:0:COMP_POINT} word="" quote="" char i begun="" kept=0 before=0
    local -a words=()
    for ((i = 0; i < ${#line}; i++)); do
        char=${line:i:1}
        if [[ $quote == "'" ]]; then
            if [[ $char == "'" ]]; then quote=""; else word+=$char; fi
        elif [[ $quote == '"' ]]; then
            if [[ $char == '"' ]]; then
                quote=""
            elif [[ $char == "\\" && ${line:i+1:1} == [\$\`\"\\] ]]; then
                i=$((i + 1))
                word+=${line:i:1}
            else
                word+=$char
            fi
        elif [[ $char == [[:space:]] ]]; then
            if [[ $begun ]]; then words+=("$word"); fi
            word="" begun="" kept=0
        else
            begun=yes
            if [[ $char == [\'\"] ]]; then
                quote=$char before=${#word}
            elif [[ $char == "\\" ]]; then
                i=$((i + 1))
                word+=${line:i:1}
            else
                word+=$char
                if [[ $COMP_WORDBREAKS == *"$char"* ]]; then kept=${#word}; fi
            fi
        fi
    done
    # Readline replaces what stands behind an open quote, or else behind the last = or :, and keeps what is before.
    if [[ $quote ]]; then kept=$before; fi

    COMPREPLY=()
    if ((${#words[@]} == 0)); then return; fi
    local program=${words[0]/#\~\//$HOME/}
    if ! type -P "$program" >/dev/null; then program=kube9; fi
    local first="" value escaped
    while IFS= read -r value; do
        if [[ ! $first ]]; then
            first=$value
            continue
        fi
        value=${value%%$'\t'*}
        if [[ ${value:0:kept} != "${word:0:kept}" ]]; then continue; fi
        value=${value:kept}
        case $quote in
            "'") escaped="'\\''" value=${value//"'"/$escaped} ;;
            '"')
                escaped=""
                for ((i = 0; i < ${#value}; i++)); do
                    char=${value:i:1}
                    case $char in
                        [\$\`\"\\]) escaped+="\\$char" ;;
                        !) escaped+="\"'!'\"" ;; # which a backslash would not keep from standing for the history
                        *) escaped+=$char ;;
                    esac
                done
                value=$escaped
                ;;
            *)
                printf -v value %q "$value"
                value=${value//\\,/,} # means nothing without a brace, and those are escaped
                ;;
        esac
        if [[ $quote ]]; then # readline joins a quote at either end with its own
            if [[ $value == "$quote"* ]]; then value=$quote$value; fi
            if [[ $value == *"$quote" ]]; then value+=$quote; fi
        fi
        COMPREPLY+=("$value")
    done < <("$program" __complete "${words[@]:1}" "$word" 2>/dev/null </dev/null)
    case $first in
        files) compopt -o default ;;
        beginnings) compopt -o nospace ;;
    esac 2>/dev/null
    compopt -o nosort 2>/dev/null # bash 4.4
    return 0
}

complete -F _kube9 kube9 kube9-operator
