// Calls of the server. Errors are Error objects whose message is what the server said.

function describe(body, status) {
  const detail = body && body.detail;
  if (typeof detail === 'string') return detail;
  if (Array.isArray(detail)) {
    return detail.map((entry) => `${entry.loc.slice(1).join('.') || 'body'}: ${entry.msg}`).join('; ');
  }
  return `The server answered with status ${status}`;
}

async function bodyOf(response) {
  try {
    return await response.json();
  } catch {
    return null;
  }
}

async function call(method, path, body) {
  const options = { method };
  if (body !== undefined) {
    options.headers = { 'content-type': 'application/json' };
    options.body = JSON.stringify(body);
  }
  const response = await fetch(path, options);
  const answer = await bodyOf(response);
  if (!response.ok) throw new Error(describe(answer, response.status));
  return answer;
}

const modelPath = (name) => `/api/models/${encodeURIComponent(name)}`;

export const api = {
  status: () => call('GET', '/api/status'),
  models: () => call('GET', '/api/models'),
  jobs: () => call('GET', '/api/jobs'),
  cacheConfig: () => call('GET', '/api/cache/config'),
  register: (model) => call('POST', '/api/models', model),
  load: (name, force) => call('POST', '/api/orchestrate/load', { model_name: name, force_load: force }),
  unload: () => call('POST', '/api/orchestrate/unload'),
  remove: (name, withFiles) => call('DELETE', `${modelPath(name)}?delete_files=${withFiles}`),
};

/** Calls onEvent with each event object of a generation. Ends when the stream does. */
export async function generate(request, signal, onEvent) {
  const response = await fetch('/api/generate/stream', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(request),
    signal,
  });
  if (!response.ok) throw new Error(describe(await bodyOf(response), response.status));
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    waiting += value;
    const events = waiting.split('\n\n');
    waiting = events.pop();
    for (const event of events) {
      if (event.startsWith('data: ')) onEvent(JSON.parse(event.slice(6)));
    }
  }
}
