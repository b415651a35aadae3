// The official `openai` package against BASE_URL: node openai.mjs CASE. The last line printed is one JSON value.
import OpenAI from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';

const model = process.env.MODEL ?? 'sample-1';
const client = new OpenAI({
    baseURL: process.env.BASE_URL + '/v1',
    apiKey: process.env.API_KEY ?? 'none',
    maxRetries: Number(process.env.RETRIES ?? 0),
    defaultHeaders: JSON.parse(process.env.HEADERS ?? '{}'),
});
const messages = [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'Hello "there", é 日本' },
];
const weather = {
    type: 'function',
    function: {
        name: 'weather',
        description: 'Says the weather',
        parameters: {
            type: 'object',
            properties: { city: { type: 'string' }, days: { type: 'integer' }, unit: { enum: ['c', 'f'] } },
        },
    },
};

const cases = {
    async chat() {
        const { data, response } = await client.chat.completions.create({ model, messages }).withResponse();
        return { text: data.choices[0].message.content, finish: data.choices[0].finish_reason, usage: data.usage,
                 model: data.model, requestId: response.headers.get('x-request-id'), own: data._request_id };
    },
    async stream() {
        const stream = await client.chat.completions.create({
            model, messages, stream: true, stream_options: { include_usage: true } });
        let text = '', chunks = 0, usage = null, finish = null;
        for await (const chunk of stream) {
            chunks++;
            text += chunk.choices[0]?.delta?.content ?? '';
            finish = chunk.choices[0]?.finish_reason ?? finish;
            usage = chunk.usage ?? usage;
        }
        return { text, chunks, usage, finish };
    },
    async helper() {
        const stream = client.chat.completions.stream({ model, messages });
        const seen = [];
        stream.on('content', (delta) => seen.push(delta));
        const done = await stream.finalChatCompletion();
        return { text: done.choices[0].message.content, joined: seen.join(''), finish: done.choices[0].finish_reason };
    },
    async toolStream() {
        const stream = client.chat.completions.stream({
            model, tools: [weather], messages: [{ role: 'user', content: 'use the tool for Oslo' }] });
        const done = await stream.finalChatCompletion();
        const call = done.choices[0].message.tool_calls[0];
        return { finish: done.choices[0].finish_reason, name: call.function.name, id: call.id,
                 arguments: JSON.parse(call.function.arguments) };
    },
    async toolLoop() {
        const asked = [];
        const runner = client.chat.completions.runTools({
            model, messages: [{ role: 'user', content: 'use the tool for Oslo' }],
            tools: [{ type: 'function', function: { ...weather.function, parse: JSON.parse,
                      function: (args) => { asked.push(args); return 'sunny in Oslo'; } } }] });
        return { text: await runner.finalContent(), asked };
    },
    async parse() {
        const done = await client.chat.completions.parse({
            model, messages,
            response_format: zodResponseFormat(z.object({ city: z.string(), days: z.number() }), 'trip') });
        return done.choices[0].message.parsed;
    },
    async abort() {
        const control = new AbortController();
        const stream = await client.chat.completions.create(
            { model, messages, stream: true }, { signal: control.signal });
        let chunks = 0, at = 0, error = null;
        try {
            for await (const _ of stream) {
                if (++chunks === 3) {
                    at = Number(process.hrtime.bigint() / 1000n);
                    control.abort();
                }
            }
        } catch (e) {
            error = e.constructor.name;
        }
        return { chunks, at, error };
    },
    async error() {
        try {
            await client.chat.completions.create({ model: process.env.WRONG_MODEL ?? model, messages });
        } catch (e) {
            return { kind: e.constructor.name, status: e.status, code: e.code, type: e.type, message: e.message,
                     requestId: e.requestID, headers: Object.fromEntries(e.headers ?? []) };
        }
        return { kind: null };
    },
    async brokenStream() {
        let text = '';
        try {
            const stream = await client.chat.completions.create({ model, messages, stream: true });
            for await (const chunk of stream)
                text += chunk.choices[0]?.delta?.content ?? '';
        } catch (e) {
            return { kind: e.constructor.name, message: String(e.message), text };
        }
        return { kind: null, text };
    },
    async embeddings() {
        const input = ['one', 'two'];
        const packed = await client.embeddings.create({ model, input }); // base64 on the wire
        const plain = await client.embeddings.create({ model, input, encoding_format: 'float' });
        return { packed: packed.data.map((d) => Array.from(d.embedding)), plain: plain.data.map((d) => d.embedding),
                 usage: plain.usage };
    },
    async models() {
        const names = [];
        for await (const m of client.models.list())
            names.push(m.id);
        return { names, one: await client.models.retrieve(names[0]) };
    },
    async completions() {
        const whole = await client.completions.create({ model, prompt: 'Hello there' });
        const stream = await client.completions.create({ model, prompt: 'Hello there', stream: true });
        let text = '';
        for await (const chunk of stream)
            text += chunk.choices[0]?.text ?? '';
        return { whole: whole.choices[0].text, text };
    },
    async responses() {
        const done = await client.responses.create({ model, input: 'Hello there' });
        return { text: done.output_text, status: done.status, usage: done.usage };
    },
    async responsesStream() {
        const stream = client.responses.stream({ model, input: 'Hello there' });
        const kinds = new Set();
        let text = '';
        for await (const event of stream) {
            kinds.add(event.type);
            if (event.type === 'response.output_text.delta')
                text += event.delta;
        }
        return { kinds: [...kinds], text, final: (await stream.finalResponse()).output[0].content[0].text };
    },
    async responsesTool() {
        const { type, function: f } = weather;
        const stream = client.responses.stream({
            model, input: [{ role: 'user', content: 'use the tool for Oslo' }], tools: [{ type, ...f, strict: false }] });
        const done = await stream.finalResponse();
        return { name: done.output[0].name, arguments: JSON.parse(done.output[0].arguments) };
    },
};

console.log(JSON.stringify(await cases[process.argv[2]]()));
