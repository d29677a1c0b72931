# Completion of kube9 for fish: kube9 completion fish | source

function __kube9_complete
    # The words as the shell would take them; nothing of them is evaluated.
    set -l words (commandline -opc)
    set -l typed (commandline -ct | string collect)
    set -l word (__kube9_unquoted $typed)
    set -l program $words[1]
    command -q -- $program; or set program kube9
    set -l answer (command $program __complete $words[2..-1] "$word" 2>/dev/null </dev/null)
    set -q answer[1]; or return 0
    if test $answer[1] = files
        # With the option before the name of the file, which fish wants as a part of each candidate.
        set -l option (string match -r -- '^--[^=]+=' "$typed")
        for file in (__fish_complete_path (string replace -r -- '^--[^=]+=' '' "$typed"))
            printf '%s%s\n' "$option" "$file"
        end
        return 0
    end
    # fish would leave the tilde of a name such as ~root to be expanded.
    string match -v -- '~*' $answer[2..-1]
    return 0
end

function __kube9_unquoted
    # A quote that is still open is closed first.
    for end in '' \' '"'
        if string unescape -- "$argv[1]$end"
            return
        end
    end
end

for name in kube9 kube9-operator
    complete -c $name -f -k -a '(__kube9_complete)'
end
