#!/usr/bin/env python3
"""Writes what Python's Jinja makes of chat templates in the shape of the known model families, and of
small templates for each part of the language: {"template", "variables", "output"}, or "output" null
where Jinja refuses."""

import argparse
import datetime
import json
import pathlib

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

NOW = datetime.datetime(2026, 7, 1, 9, 5, 3)


class Refused(Exception):
    pass


class Generation(jinja2.ext.Extension):
    """{% generation %} of the transformers library, rendered as it is."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.Scope(body).set_lineno(line)


def environment():
    def raise_exception(message):
        raise Refused(message)

    def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = NOW.strftime
    return env


CHATML = """{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system
You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>
' }}{% endif %}{{'<|im_start|>' + message['role'] + '
' + message['content'] + '<|im_end|>' + '
'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant
' }}{% endif %}"""

LLAMA3 = """{{- bos_token }}
{%- if custom_tools is defined %}
    {%- set tools = custom_tools %}
{%- endif %}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}

{#- The system message, if there is one. #}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}

{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{%- if tools is not none %}
    {{- "Environment: ipython\\n" }}
{%- endif %}
{{- "Today Date: " + date_string + "\\n\\n" }}
{%- if tools is not none %}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\\n\\n" }}
    {%- endfor %}
{%- endif %}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}
            {{- raise_exception("This model only supports single tool-calls at once!") }}
        {%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' -}}
        {{- '{"name": "' + tool_call.name + '", ' }}
        {{- '"parameters": ' }}
        {{- tool_call.arguments | tojson }}
        {{- "}" }}
        {{- "<|eot_id|>" }}
    {%- elif message.role == "tool" or message.role == "ipython" %}
        {{- "<|start_header_id|>ipython<|end_header_id|>\\n\\n" }}
        {%- if message.content is mapping or message.content is iterable %}
            {{- message.content | tojson }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
        {{- "<|eot_id|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
"""

QWEN3 = """{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0].role == 'system' %}
        {{- messages[0].content + '\\n\\n' }}
    {%- endif %}
    {{- "# Tools\\n\\n<tools>" }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\\n</tools><|im_end|>\\n" }}
{%- else %}
    {%- if messages[0].role == 'system' %}
        {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
    {%- endif %}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning_content = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning_content = message.reasoning_content %}
        {%- else %}
            {%- if '</think>' in content %}
                {%- set reasoning_content = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
                {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
            {%- endif %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index %}
            {%- if loop.last or (not loop.last and reasoning_content) %}
                {{- '<|im_start|>' + message.role + '\\n<think>\\n' + reasoning_content.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
            {%- else %}
                {{- '<|im_start|>' + message.role + '\\n' + content }}
            {%- endif %}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\\n' + content }}
        {%- endif %}
        {%- if message.tool_calls %}
            {%- for tool_call in message.tool_calls %}
                {%- if (loop.first and content) or (not loop.first) %}
                    {{- '\\n' }}
                {%- endif %}
                {%- if tool_call.function %}
                    {%- set tool_call = tool_call.function %}
                {%- endif %}
                {{- '<tool_call>\\n{"name": "' }}
                {{- tool_call.name }}
                {{- '", "arguments": ' }}
                {%- if tool_call.arguments is string %}
                    {{- tool_call.arguments }}
                {%- else %}
                    {{- tool_call.arguments | tojson }}
                {%- endif %}
                {{- '}\\n</tool_call>' }}
            {%- endfor %}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == "tool" %}
        {%- if loop.first or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\\n<tool_response>\\n' }}
        {{- content }}
        {{- '\\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|im_end|>\\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}"""

EXAONE = """{% for message in messages %}{% if loop.first and message['role'] != 'system' %}{{ '[|system|][|endofturn|]\\n' }}{% endif %}{{ '[|' + message['role'] + '|]' + message['content'] }}{% if message['role'] == 'user' %}{{ '\\n' }}{% else %}{{ '[|endofturn|]\\n' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '[|assistant|]' }}{% endif %}"""

EXAONE4 = """{%- if not skip_think is defined %}
  {%- set skip_think = true %}
{%- endif %}
{%- set role_indicators = {
    'user': '[|user|]\\n',
    'assistant': '[|assistant|]\\n',
    'system': '[|system|]\\n',
    'tool': '[|tool|]\\n'
} %}
{%- set end_of_turn = '[|endofturn|]\\n' %}
{%- macro available_tools(tools) %}
    {{- "# Available Tools" }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson(ensure_ascii=False) | safe }}
    {%- endfor %}
{%- endmacro %}
{%- set ns = namespace(last_query_index = messages|length - 1) %}
{%- for message in messages %}
    {%- if message.role == "user" and message.content is string %}
        {%- set ns.last_query_index = loop.index0 -%}
    {%- endif %}
{%- endfor %}
{%- for i in range(messages | length) %}
    {%- set msg = messages[i] %}
    {%- set role = msg.role %}
    {%- if role not in role_indicators %}
        {{- raise_exception('Unknown role: ' ~ role) }}
    {%- endif %}
    {%- if i == 0 %}
        {%- if role == 'system' %}
            {{- role_indicators['system'] }}
            {{- msg.content }}
            {%- if tools is defined and tools %}
                {{- "\\n\\n" }}{{- available_tools(tools) }}
            {%- endif %}
            {{- end_of_turn -}}
            {%- continue %}
        {%- elif tools is defined and tools %}
            {{- role_indicators['system'] }}
            {{- available_tools(tools) }}
            {{- end_of_turn -}}
        {%- endif %}
    {%- endif %}
    {%- if role == 'assistant' %}
        {{- role_indicators['assistant'] }}
        {%- if msg.content %}
            {%- if "</think>" in msg.content %}
                {%- set content = msg.content.split('</think>')[-1].strip() %}
                {{- "<think>\\n\\n</think>\\n\\n" ~ content }}
            {%- else %}
                {{- msg.content }}
            {%- endif %}
        {%- endif %}
        {%- if msg.tool_calls %}
            {%- if msg.content %}{{- "\\n" }}{%- else %}{{- "<think>\\n\\n</think>\\n\\n" }}{%- endif %}
            {%- for tool_call in msg.tool_calls %}
                {%- if tool_call.function is defined %}{%- set tool_call = tool_call.function %}{%- endif %}
                {{- '<tool_call>{"name": "' ~ tool_call.name ~ '", "arguments": ' ~ tool_call.arguments | tojson(ensure_ascii=False) | safe ~ '}</tool_call>' }}
                {%- if not loop.last %}{{- "\\n" }}{%- endif %}
            {%- endfor %}
        {%- endif %}
        {{- end_of_turn -}}
    {%- elif role == "tool" %}
        {%- if i == 0 or messages[i - 1].role != "tool" %}{{- role_indicators['tool'] }}{%- endif %}
        {{- "<tool_result>" ~ msg.content | tojson(ensure_ascii=False) | safe ~ "</tool_result>" }}
        {%- if loop.last or messages[i + 1].role != "tool" %}{{- end_of_turn -}}{%- else %}{{- "\\n" }}{%- endif %}
    {%- else %}
        {{- role_indicators[role] }}
        {{- msg.content }}
        {{- end_of_turn -}}
    {%- endif %}
{% endfor %}
{%- if add_generation_prompt %}
    {{- role_indicators['assistant'] }}
    {%- if enable_thinking is defined and enable_thinking is true %}{{- "<think>\\n" }}{%- else %}{{- "<think>\\n\\n</think>\\n\\n" }}{%- endif %}
{%- endif %}"""

GEMMA = """{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- if messages[0]['content'] is string -%}
        {%- set first_user_prefix = messages[0]['content'] + '\\n\\n' -%}
    {%- else -%}
        {%- set first_user_prefix = messages[0]['content'][0]['text'] + '\\n\\n' -%}
    {%- endif -%}
    {%- set loop_messages = messages[1:] -%}
{%- else -%}
    {%- set first_user_prefix = "" -%}
    {%- set loop_messages = messages -%}
{%- endif -%}
{%- for message in loop_messages -%}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
        {{ raise_exception("Conversation roles must alternate user/assistant/user/assistant/...") }}
    {%- endif -%}
    {%- if (message['role'] == 'assistant') -%}
        {%- set role = "model" -%}
    {%- else -%}
        {%- set role = message['role'] -%}
    {%- endif -%}
    {{ '<start_of_turn>' + role + '\\n' + (first_user_prefix if loop.first else "") }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- elif message['content'] is iterable -%}
        {%- for item in message['content'] -%}
            {%- if item['type'] == 'image' -%}
                {{ '<start_of_image>' }}
            {%- elif item['type'] == 'text' -%}
                {{ item['text'] | trim }}
            {%- endif -%}
        {%- endfor -%}
    {%- else -%}
        {{ raise_exception("Invalid content type") }}
    {%- endif -%}
    {{ '<end_of_turn>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{ '<start_of_turn>model\\n' }}
{%- endif -%}
"""

PHI3 = """{% for message in messages %}{% if message['role'] == 'system' and message['content'] %}{{'<|system|>
' + message['content'] + '<|end|>
'}}{% elif message['role'] == 'user' %}{{'<|user|>
' + message['content'] + '<|end|>
'}}{% elif message['role'] == 'assistant' %}{{'<|assistant|>
' + message['content'] + '<|end|>
'}}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>
' }}{% else %}{{ eos_token }}{% endif %}"""

MISTRAL = """{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}
{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}
{%- set ns = namespace() %}
{%- set ns.index = 0 %}
{%- for message in loop_messages %}
    {%- if not (message.role == "tool" or message.role == "tool_results" or (message.tool_calls is defined and message.tool_calls is not none)) %}
        {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
            {{- raise_exception("After the optional system message, conversation roles must alternate") }}
        {%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if tools is not none and (message == user_messages[-1]) %}
            {{- "[AVAILABLE_TOOLS] [" }}
            {%- for tool in tools %}
                {%- set tool = tool.function %}
                {{- '{"type": "function", "function": {' }}
                {%- for key, val in tool.items() if key != "return" %}
                    {%- if val is string %}
                        {{- '"' + key + '": "' + val + '"' }}
                    {%- else %}
                        {{- '"' + key + '": ' + val|tojson }}
                    {%- endif %}
                    {%- if not loop.last %}
                        {{- ", " }}
                    {%- endif %}
                {%- endfor %}
                {{- "}}" }}
                {%- if not loop.last %}
                    {{- ", " }}
                {%- else %}
                    {{- "]" }}
                {%- endif %}
            {%- endfor %}
            {{- "[/AVAILABLE_TOOLS]" }}
        {%- endif %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST] " + system_message + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message.tool_calls is defined and message.tool_calls is not none %}
        {{- "[TOOL_CALLS] [" }}
        {%- for tool_call in message.tool_calls %}
            {%- set out = tool_call.function|tojson %}
            {{- out[:-1] }}
            {%- if not tool_call.id is defined or tool_call.id|length != 9 %}
                {{- raise_exception("Tool call IDs should be alphanumeric strings with length 9!") }}
            {%- endif %}
            {{- ', "id": "' + tool_call.id + '"}' }}
            {%- if not loop.last %}{{- ", " }}{%- else %}{{- "]" + eos_token }}{%- endif %}
        {%- endfor %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"]|trim + eos_token}}
    {%- elif message["role"] == "tool_results" or message["role"] == "tool" %}
        {%- if message.content is defined and message.content.content is defined %}
            {%- set content = message.content.content %}
        {%- else %}
            {%- set content = message.content %}
        {%- endif %}
        {{- '[TOOL_RESULTS] {"content": ' + content|string + ", " }}
        {{- '"call_id": "' + message.tool_call_id|default("abcdefghi") + '"}[/TOOL_RESULTS]' }}
    {%- else %}
        {{- raise_exception("Only user and assistant roles are supported!") }}
    {%- endif %}
{%- endfor %}
"""

HYPERCLOVA = """{% if tools is not defined or tools is none %}{{- '<|im_start|>tool_list\\n<|im_end|>\\n' }}{% else %}{{- '<|im_start|>tool_list\\n[' }}{%- for tool in tools %}{{- '{"name": "' }}{{- tool.function.name }}{{- '", "description": "' }}{{- tool.function.description }}{{- '"' }}{%- if tool.function.parameters is defined %}{{- ', "parameters": ' }}{{- tool.function.parameters | tojson }}{%- endif %}{{- '}' }}{%- if not loop.last %}{{- ', ' }}{%- endif %}{%- endfor %}{{- ']<|im_end|>\\n' }}{%- endif %}
{%- for message in messages %}
    {%- if loop.first and message.role != 'system' %}{{- '<|im_start|>system\\n<|im_end|>\\n' }}{%- endif %}
    {%- set content = message.content %}
    {%- if content is string %}
        {{- '<|im_start|>%s' | replace('%s', message.role) + '\\n' + content + '<|im_end|>' }}
    {%- elif content is mapping %}
        {{- content | dictsort | map('join', '=') | join(';') }}
    {%- elif content is sequence %}
        {%- for part in content %}{{- part.text | default('', true) }}{%- endfor %}
    {%- endif %}
    {%- if message.tool_calls %}{{- message.tool_calls | map(attribute='function') | map(attribute='name') | join(', ') }}{%- endif %}
    {{- '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"""

GPT_OSS = """{%- macro render_typescript_type(param_spec, required_params, is_nullable=false) -%}
    {%- if param_spec.type == "array" -%}
        {%- if param_spec['items'] -%}
            {%- if param_spec['items']['type'] == "string" -%}
                {{- "string[]" }}
            {%- elif param_spec['items']['type'] in ["number", "integer"] -%}
                {{- "number[]" }}
            {%- else -%}
                {%- set inner_type = render_typescript_type(param_spec['items'], required_params) -%}
                {%- if inner_type == "object | object" or inner_type|length > 50 -%}
                    {{- "any[]" }}
                {%- else -%}
                    {{- inner_type + "[]" }}
                {%- endif -%}
            {%- endif -%}
        {%- else -%}
            {{- "any[]" }}
        {%- endif -%}
        {%- if param_spec.nullable -%}{{- " | null" }}{%- endif -%}
    {%- elif param_spec.type is defined and param_spec.type is iterable and param_spec.type is not string and param_spec.type is not mapping and param_spec.type[0] is defined -%}
        {%- if param_spec.type | length > 1 -%}
            {{- param_spec.type | join(" | ") }}
        {%- else -%}
            {{- param_spec.type[0] }}
        {%- endif -%}
    {%- elif param_spec.type == "string" -%}
        {%- if param_spec.enum -%}
            {{- '"' + param_spec.enum|join('" | "') + '"' -}}
        {%- else -%}
            {{- "string" }}
        {%- endif -%}
    {%- elif param_spec.type == "object" -%}
        {%- if param_spec.properties -%}
            {{- "{\\n" }}
            {%- for prop_name, prop_spec in param_spec.properties.items() -%}
                {{- prop_name -}}
                {%- if prop_name not in (param_spec.required or []) -%}{{- "?" }}{%- endif -%}
                {{- ": " }}
                {{ render_typescript_type(prop_spec, param_spec.required or []) }}
                {%- if not loop.last -%}{{-", " }}{%- endif -%}
            {%- endfor -%}
            {{- "}" }}
        {%- else -%}
            {{- "object" }}
        {%- endif -%}
    {%- else -%}
        {{- param_spec.type | default("any") }}
    {%- endif -%}
{%- endmacro -%}
{%- if reasoning_effort is not defined %}{%- set reasoning_effort = "medium" %}{%- endif %}
{{- "<|start|>system<|message|>Current date: " + strftime_now("%Y-%m-%d") + "\\n\\nReasoning: " + reasoning_effort + "\\n<|end|>" }}
{%- if tools %}
    {{- "<|start|>developer<|message|># Tools\\n\\n" }}
    {%- for tool in tools %}
        {%- set tool = tool.function %}
        {{- "// " + tool.description + "\\n" }}
        {{- "type " + tool.name + " = (_: " + render_typescript_type(tool.parameters, []) + ") => any;\\n" }}
    {%- endfor %}
    {{- "<|end|>" }}
{%- endif %}
{%- set last_tool_call = namespace(name=none) %}
{%- for message in messages -%}
    {%- if message.role == 'assistant' -%}
        {%- if message.tool_calls -%}
            {%- set tool_call = message.tool_calls[0] %}
            {%- if tool_call.function %}{%- set tool_call = tool_call.function %}{%- endif %}
            {{- "<|start|>assistant to=functions." + tool_call.name + "<|channel|>commentary json<|message|>" + tool_call.arguments|tojson + "<|call|>" }}
            {%- set last_tool_call.name = tool_call.name %}
        {%- elif loop.last and not add_generation_prompt %}
            {{- "<|start|>assistant<|channel|>final<|message|>" + message.content + "<|return|>" }}
        {%- else %}
            {{- "<|start|>assistant<|channel|>final<|message|>" + message.content + "<|end|>" }}
            {%- set last_tool_call.name = none %}
        {%- endif %}
    {%- elif message.role == 'tool' -%}
        {%- if last_tool_call.name is none %}
            {{- raise_exception("Message has tool role, but there was no previous assistant message with a tool call!") }}
        {%- endif %}
        {{- "<|start|>functions." + last_tool_call.name + " to=assistant<|channel|>commentary<|message|>" + message.content|tojson + "<|end|>" }}
    {%- elif message.role == 'user' -%}
        {{- "<|start|>user<|message|>" + message.content + "<|end|>" }}
    {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
<|start|>assistant
{%- endif -%}"""

FAMILIES = {"chatml": CHATML, "llama3": LLAMA3, "qwen3": QWEN3, "exaone": EXAONE, "exaone4": EXAONE4, "gemma": GEMMA, "phi3": PHI3,
            "mistral": MISTRAL, "hyperclova": HYPERCLOVA, "gpt-oss": GPT_OSS}

SNIPPETS = r"""
{{ 1 + 2 * 3 - 4 // 3 % 2 }} {{ 2 ** 3 ** 2 }} {{ -2 ** 2 }} {{ 7 / 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7.5 // 2 }} {{ 1e3 }} {{ 1_000 }}
{{ 1 < 2 }} {{ 'a' < 'b' }} {{ 1 == 1.0 }} {{ none == false }} {{ [1, 2] == [1, 2] }} {{ {'a': 1} == {'a': 1} }} {{ not 1 in [1] }}
{{ 'a' ~ 1 ~ none ~ true ~ 1.5 }} {{ 'ab' * 3 }} {{ [1] + [2] }} {{ [1, 'a', none, true, 1.0, {'k': 'v'}] }} {{ (1, 2) | list }}
{{ 'it\'s' }} {{ ["it's", 'say "x"', 'a\nb'] }} {{ "\u00e9\x41\t|" }} {{ 'a' 'b' }} {{ "가나다"[1] }} {{ "가나다"[::-1] }} {{ '가나다' | length }}
{{ x if y else z }} {{ (x if missing) }} {{ 'a' if x else 'b' if y else 'c' }} {{ missing }}|{{ missing is defined }}|{{ x.missing is undefined }}
{{ [1,2,3][1:] }} {{ [1,2,3][:-1] }} {{ [1,2,3][::2] }} {{ [1,2,3][-1] }} {{ 'hello'[1:3] }} {{ 'hello'[-3:] }} {{ [1,2,3][5:] }} {{ [1,2,3][::-1] }} {{ [1,2,3,4,5][3:0:-2] }}
{{ d.a }} {{ d['b'] }} {{ d.b.c }} {{ d.get('zz') }} {{ d.get('zz', 5) }} {{ d.items() | map('join', '=') | list }} {{ d.keys() | list }} {{ d.values() | list }} {{ 'a' in d }} {{ d | length }}
{{ ' a b '.strip() }}| {{ 'xxaxx'.strip('x') }} {{ 'xxaxx'.lstrip('x') }} {{ 'xxaxx'.rstrip('x') }} {{ 'a,b,c'.split(',') }} {{ ' a  b '.split() }} {{ 'a,b,c'.split(',', 1) }} {{ 'a,b,c'.rsplit(',', 1) }}
{{ 'Abc'.upper() }} {{ 'ABC'.lower() }} {{ 'abc def'.title() }} {{ 'aBC'.capitalize() }} {{ 'abc'.startswith('ab') }} {{ 'abc'.endswith(('c', 'd')) }} {{ 'aXbX'.replace('X', '-') }} {{ 'aXbX'.replace('X', '-', 1) }} {{ 'abc'.find('c') }} {{ 'abc'.find('z') }} {{ 'aaa'.count('a') }} {{ ','.join(['a', 'b']) }} {{ 'a\nb\r\nc'.splitlines() }} {{ '12'.isdigit() }} {{ 'ab'.isalpha() }} {{ ''.isalpha() }} {{ 'abc'.removeprefix('a') }} {{ 'abc'.removesuffix('c') }}
{{ [3,1,2] | sort }} {{ [3,1,2] | sort(reverse=true) }} {{ ['b','A','c'] | sort }} {{ [1,2,3] | sum }} {{ [1,2,3] | max }} {{ [1,2,3] | min }} {{ [1,2,3] | first }} {{ [1,2,3] | last }} {{ [1,2,2,3] | unique | list }} {{ [1,2,3] | reverse | list }} {{ 'abc' | reverse }} {{ [1,2,3] | join('-') }} {{ 'abc' | list }} {{ 'abc' | upper }} {{ 'a b' | title }} {{ 'aBC' | capitalize }} {{ '  x ' | trim }}| {{ 'a' | default('b') }} {{ missing | default('b') }} {{ '' | default('b', true) }} {{ '42' | int }} {{ 'x' | int }} {{ 'x' | int(7) }} {{ '1.5' | float }} {{ 3.7 | int }} {{ 2.567 | round(2) }} {{ -3 | abs }} {{ 42 | string }}
{{ items | map(attribute='n') | list }} {{ items | selectattr('n', 'gt', 1) | map(attribute='n') | list }} {{ items | rejectattr('n', 'equalto', 1) | map(attribute='n') | join(',') }} {{ items | selectattr('f') | list | length }} {{ [1,2,3,4] | select('even') | list }} {{ [1,2,3,4] | reject('divisibleby', 2) | list }} {{ ['a','b'] | map('upper') | list }} {{ {'b': 1, 'a': 2} | dictsort | map('join', '=') | list }} {{ {'b': 1} | items | map('join', '=') | list }} {{ items | sum(attribute='n') }} {{ items | sort(attribute='n', reverse=true) | map(attribute='n') | list }}
{{ d | tojson }} {{ d | tojson(indent=2) }} {{ '<가"\n>' | tojson }} {{ [] | tojson }} {{ {} | tojson(indent=2) }} {{ [1, 1.5, none, true] | tojson }} {{ {'b': 1, 'a': 2} | tojson(sort_keys=true) }} {{ [1,2] | tojson(separators=(',', ':')) }}
{{ 'a\nb\n\nc' | indent(2) }}|{{ 'a\nb' | indent(2, true) }}
{{ 3 is odd }} {{ 3 is even }} {{ 6 is divisibleby 3 }} {{ 6 is divisibleby(4) }} {{ 'a' is string }} {{ 1 is number }} {{ true is number }} {{ 1 is integer }} {{ 1.0 is float }} {{ none is none }} {{ d is mapping }} {{ [1] is sequence }} {{ 'a' is iterable }} {{ 1 is not iterable }} {{ true is true }} {{ false is false }} {{ 1 is true }} {{ 1 is eq 1 }} {{ 2 is in [1, 2] }} {{ 'abc' is lower }} {{ 'ABC' is upper }} {{ range is callable }} {{ true is boolean }} {{ 1 is sameas 1 }} {{ 3 is gt 2 and 2 is lt 3 }}
{% for i in range(3) %}{{ i }}{{ loop.index }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.revindex }}{{ loop.cycle('a', 'b') }}{% if not loop.last %},{% endif %}{% endfor %}
{% for i in [] %}x{% else %}empty{% endfor %}{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}{% for a, b in [[1, 2], [3, 4]] if a > 1 %}{{ a }}{{ b }}{{ loop.index }}{% endfor %}
{% for i in range(10) %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 5 %}{% break %}{% endif %}{{ i }}{% endfor %}
{% for i in range(2, 10, 3) %}{{ i }} {% endfor %}{% for i in range(5, 0, -2) %}{{ i }} {% endfor %}{% for c in 'abc' %}{{ c }}.{% endfor %}{% for k in d %}{{ k }}{% endfor %}
{% set a = 1 %}{% for i in [1] %}{% set a = 2 %}{{ a }}{% endfor %}{{ a }}{% if true %}{% set a = 3 %}{% endif %}{{ a }}{% set b, c = 1, 2 %}{{ b }}{{ c }}{% set e %}block {{ a }}{% endset %}{{ e }}
{% set ns = namespace(n=0) %}{% for i in range(4) %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }} {{ dict(a=1, b='x') }}
{% macro m(a, b=2, c='z') %}[{{ a }}{{ b }}{{ c }}]{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(1, c='q') }}{{ m() }}{{ m(1) | upper }}
{% macro f(n) %}{% if n > 0 %}{{ n }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(5) }}
{% macro w() %}<{{ caller() }}>{% endmacro %}{% call w() %}inner {{ x }}{% endcall %}
{% filter upper %}abc {{ 'def' }}{% endfilter %} {% with q = 5, r = 6 %}{{ q + r }}{% endwith %}{{ q }}
{% raw %}{{ not }} {% this %}{% endraw %} {# a comment #}after {#- strip -#} x
{% if x %}  a{% elif y %}b{% else %}c{% endif %} {% if x and not missing or y %}1{% endif %} {{ x or 'd' }} {{ missing or 'd' }} {{ x and 'e' }}
  {% if true %}
line one
  {%- if true %}  kept
  {% endif %}
    {%+ if true %}plus{% endif %}
end
{% endif -%}   tail
{{ '{{' }}{{ "}}" }}{{ {'a': {'b': [1, {'c': 2}]}}['a']['b'][1].c }}
{% generation %}answer {{ x }}{% endgeneration %}
{{ strftime_now('%Y-%m-%d %H:%M') }} {{ 1 if x is string and x == 'ex' else 2 }} {{ x is not none }} {{ not x is none }}
{{ missing.attribute }}
{{ missing + 1 }}
{{ missing() }}
{{ 1 + 'a' }}
{{ 1 / 0 }}
{{ raise_exception('no') }}
{{ 'a' < 1 }}
{% for i in 5 %}{% endfor %}
{{ x.__class__ }}|{{ x['__class__'] }}|{{ x.foo }}
{{ d.missing.deeper }}
{% for m in items %}{{ m.n }}{% endfor %} {{ items[0].n }} {{ items[0]['n'] }} {{ items.0.n }} {{ items[-1].n }}
{{ [1,2,3] | length > 2 }} {{ 'x' in 'xyz' }} {{ 'q' not in 'xyz' }} {{ 1 in [1,2] and 3 not in [1,2] }} {{ (1 + 2) * 3 }} {{ - 3 + 5 }} {{ +3 }} {{ 10 - 2 - 3 }} {{ 2 * 3 / 4 }}
{{ 0.1 + 0.2 }} {{ 1e16 }} {{ 1e-5 }} {{ 123456789012345680.0 }} {{ 1.0 }} {{ 3.14 }} {{ 100 * 1.1 }} {{ 5 | float }} {{ 1 == true }} {{ [true, none] | string }}
""".strip("\n").split("\n")

TOOLS = [{"type": "function", "function": {"name": "get_weather", "description": "오늘 날씨", "parameters": {
    "type": "object", "properties": {"city": {"type": "string", "enum": ["서울", "부산"]}, "days": {"type": ["integer", "null"]},
                                     "tags": {"type": "array", "items": {"type": "string"}}}, "required": ["city"]}}}]
USER = {"role": "user", "content": " 안녕하세요? <|im_end|> \n"}
SYSTEM = {"role": "system", "content": "You are \"Naru\".\n"}
ASSISTANT = {"role": "assistant", "content": "<think>\n생각\n</think>\n\n네, 말씀하세요."}
CALL = {"role": "assistant", "content": "", "tool_calls": [{"id": "abcdefghi", "type": "function", "function": {"name": "get_weather", "arguments": {"city": "서울", "days": 2}}}]}
RESULT = {"role": "tool", "content": "맑음", "tool_call_id": "abcdefghi"}
CHATS = [[USER], [SYSTEM, USER], [USER, ASSISTANT, USER], [SYSTEM, USER, ASSISTANT, USER], [USER, CALL, RESULT], [SYSTEM, USER, CALL, RESULT, ASSISTANT, USER],
         [USER, USER], [ASSISTANT], [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": " 그림 "}]}], [{"role": "other", "content": "x"}]]


def cases():
    for name, template in FAMILIES.items():
        for chat in CHATS:
            for more in ({}, {"add_generation_prompt": True}, {"tools": TOOLS, "add_generation_prompt": True, "enable_thinking": False}):
                yield name, template, {"messages": chat, "bos_token": "<s>", "eos_token": "</s>", **more}
    variables = {"x": "ex", "y": 0, "z": "zed", "d": {"a": 1, "b": {"c": "deep"}, "k": "가"}, "items": [{"n": 1, "f": True}, {"n": 2}, {"n": 3, "f": False}]}
    multi = []
    for snippet in SNIPPETS:
        multi.append(snippet)
        yield "snippet", snippet, variables
    yield "snippets", "\n".join(multi[:20]), variables


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    args = parser.parse_args()
    env = environment()
    goldens = []
    for name, template, variables in cases():
        try:
            output = env.from_string(template).render(**variables)
        except (Refused, jinja2.exceptions.TemplateError, TypeError, ZeroDivisionError):
            output = None
        goldens.append({"name": name, "template": template, "variables": variables, "output": output})
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps({"now": int(NOW.replace(tzinfo=datetime.timezone.utc).timestamp()), "cases": goldens}, ensure_ascii=False))
    refused = sum(case["output"] is None for case in goldens)
    print(f"{len(goldens)} templates, {refused} refused")


if __name__ == "__main__":
    main()
