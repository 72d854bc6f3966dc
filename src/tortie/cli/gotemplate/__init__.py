"""The part of Go's text/template that people use with `-o go-template`. Pure.

    {{.metadata.name}} {{.spec.order}}      fields, of maps; of lists by `index`
    {{range .items}} {{else}} {{end}}       also {{range $i, $item := .items}}, break, continue
    {{if}} {{else if}} {{else}} {{end}}     {{with .spec}} {{else}} {{end}}
    {{$x := .metadata}} {{$x.name}} {{$}}   variables; $ is the whole
    {{.a | printf "%-20s"}} {{len (index .items 0).spec.nets}}
    {{- trims blanks before, and after -}}  {{/* says nothing */}}
    and or not eq ne lt le gt ge len index slice print printf println html js urlquery join exists

`text.parse(template).render(value)`: what comes in is plain data (dicts, lists, scalars), what goes
out is text, or a TemplateError that says where. Fields may be written as Go names them (`.Spec`,
`.ObjectMeta.Name`), as calicoctl's templates do. `define`, `template` and `block` are not there.
"""

from tortie.cli.gotemplate.errors import TemplateError
from tortie.cli.gotemplate.text import Template, Whole, parse

__all__ = ["Template", "TemplateError", "Whole", "parse"]
