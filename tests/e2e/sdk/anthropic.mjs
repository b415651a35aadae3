// The official `@anthropic-ai/sdk` package against BASE_URL: node anthropic.mjs CASE. The last line is one JSON value.
import Anthropic from '@anthropic-ai/sdk';

const model = process.env.MODEL ?? 'sample-1';
const key = process.env.API_KEY ?? 'none';
const client = new Anthropic({
    baseURL: process.env.BASE_URL,
    ...(process.env.BEARER ? { authToken: key, apiKey: null } : { apiKey: key }),
    maxRetries: Number(process.env.RETRIES ?? 0),
    defaultHeaders: JSON.parse(process.env.HEADERS ?? '{}'),
});
const messages = [{ role: 'user', content: 'Hello "there", é 日本' }];
const body = { model, max_tokens: 200, messages };
const weather = {
    name: 'weather',
    description: 'Says the weather',
    input_schema: { type: 'object', properties: { city: { type: 'string' }, days: { type: 'integer' } } },
};
const toolBody = { model, max_tokens: 200, tools: [weather],
                   messages: [{ role: 'user', content: 'use the tool for Oslo' }] };
const textOf = (message) => message.content.filter((b) => b.type === 'text').map((b) => b.text).join('');

const cases = {
    async message() {
        const { data, response } = await client.messages.create(body).withResponse();
        return { text: textOf(data), stop: data.stop_reason, usage: data.usage, model: data.model,
                 requestId: response.headers.get('request-id'), own: data._request_id };
    },
    async stream() {
        const stream = await client.messages.create({ ...body, stream: true });
        const kinds = [];
        let text = '', usage = null;
        for await (const event of stream) {
            if (kinds.at(-1) !== event.type)
                kinds.push(event.type);
            if (event.type === 'content_block_delta')
                text += event.delta.text;
            if (event.type === 'message_delta')
                usage = event.usage;
        }
        return { kinds, text, usage };
    },
    async helper() {
        const seen = [];
        const stream = client.messages.stream(body).on('text', (delta) => seen.push(delta));
        const done = await stream.finalMessage();
        return { text: textOf(done), joined: seen.join(''), stop: done.stop_reason, usage: done.usage };
    },
    async toolStream() {
        const done = await client.messages.stream(toolBody).finalMessage();
        const call = done.content.find((b) => b.type === 'tool_use');
        return { stop: done.stop_reason, text: textOf(done), name: call.name, id: call.id, input: call.input };
    },
    async toolLoop() {
        const first = await client.messages.create(toolBody);
        const call = first.content.find((b) => b.type === 'tool_use');
        const second = await client.messages.create({ ...toolBody, messages: [
            ...toolBody.messages, { role: 'assistant', content: first.content },
            { role: 'user', content: [{ type: 'tool_result', tool_use_id: call.id, content: 'sunny in Oslo' }] }] });
        return { text: textOf(second), stop: second.stop_reason };
    },
    async countTokens() {
        return await client.messages.countTokens({ model, messages });
    },
    async abort() {
        const stream = client.messages.stream(body);
        let deltas = 0, at = 0, error = null;
        try {
            for await (const event of stream) {
                if (event.type === 'content_block_delta' && ++deltas === 3) {
                    at = Number(process.hrtime.bigint() / 1000n);
                    stream.abort();
                }
            }
        } catch (e) {
            error = e.constructor.name;
        }
        return { deltas, at, error };
    },
    async error() {
        try {
            await client.messages.create({ ...body, model: process.env.WRONG_MODEL ?? model });
        } catch (e) {
            return { kind: e.constructor.name, status: e.status, type: e.error?.error?.type,
                     message: e.error?.error?.message, requestId: e.requestID, headers: Object.fromEntries(e.headers ?? []) };
        }
        return { kind: null };
    },
    async brokenStream() {
        let text = '';
        try {
            for await (const event of await client.messages.create({ ...body, stream: true }))
                text += event.delta?.text ?? '';
        } catch (e) {
            return { kind: e.constructor.name, message: String(e.message), text };
        }
        return { kind: null, text };
    },
    async models() {
        const names = [];
        for await (const m of client.models.list())
            names.push(m.id);
        return { names, one: await client.models.retrieve(names[0]) };
    },
};

console.log(JSON.stringify(await cases[process.argv[2]]()));
