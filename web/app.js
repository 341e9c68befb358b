// The page: status, models, generation. Text from the server is only ever set as textContent.
import { api, generate } from '/static/api.js';

const $ = (id) => document.getElementById(id);
const kIdlePollMs = 10000;
const kBusyPollMs = 1000;

let loadedName = null;
let pollTimer = 0;
let running = null;

function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === 'class') node.className = value;
    else if (name.startsWith('aria-')) node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

function show(node, text) {
  node.hidden = !text;
  node.textContent = text || '';
}

const megabytes = (bytes) =>
  bytes >= 1e9 ? `${(bytes / 1e9).toFixed(2)} GB` : `${(bytes / 1e6).toFixed(1)} MB`;

const counted = (number, one) => `${number} ${one}${number === 1 ? '' : 's'}`;

// --- status and jobs -------------------------------------------------------------------------------------------

const isRunning = (job) => !['done', 'succeeded', 'failed', 'cancelled'].includes(job.state);

function jobRow(job) {
  const known = job.total_bytes > 0;
  const bar = element('progress', { max: known ? job.total_bytes : 1 });
  if (known) bar.value = job.done_bytes;
  const name = job.model ?? job.kind;
  bar.setAttribute('aria-label', `${name}: ${job.state}`);
  const speed = job.bytes_per_second > 0 ? ` · ${megabytes(job.bytes_per_second)}/s` : '';
  const amount = known ? `${megabytes(job.done_bytes)} of ${megabytes(job.total_bytes)}${speed}` : '';
  return element('li', {}, element('span', { textContent: `${name}: ${job.state}` }), bar,
    element('span', { class: 'hint', textContent: amount }));
}

async function refreshStatus() {
  clearTimeout(pollTimer);
  let busy = false;
  try {
    const [status, { jobs }] = await Promise.all([api.status(), api.jobs()]);
    const active = jobs.filter(isRunning);
    busy = active.length > 0;
    $('jobs').replaceChildren(...active.map(jobRow));
    $('status-dot').className = `dot ${status.loaded_model ? 'on' : ''}`;
    $('status-text').textContent = status.loaded_model ? status.loaded_model : active.some((job) => job.model) ? 'Loading…' : 'No model loaded';
    if (status.loaded_model !== loadedName) {
      loadedName = status.loaded_model;
      await refreshModels();
    }
  } catch (error) {
    $('status-dot').className = 'dot bad';
    $('status-text').textContent = 'The server does not answer';
  }
  pollTimer = setTimeout(refreshStatus, busy ? kBusyPollMs : kIdlePollMs);
}

// --- models ----------------------------------------------------------------------------------------------------

function modelFacts(model) {
  const facts = [];
  if (model.parameter_count) facts.push(`${(model.parameter_count / 1e9).toFixed(2)} B parameters`);
  if (model.architecture) facts.push(model.architecture);
  if (model.default_dtype) facts.push(model.default_dtype.replace('torch.', ''));
  if (model.context_length) facts.push(`${model.context_length.toLocaleString('en')} tokens context`);
  if (model.model_size_mb) facts.push(`${Math.round(model.model_size_mb).toLocaleString('en')} MiB`);
  return facts.join(' · ');
}

const count = (number, thing) => `${number} ${thing}${number === 1 ? '' : 's'}`;

function modelCard(model) {
  const isLoaded = model.model_name === loadedName;
  const status = model.compatibility_status || 'unknown';
  const badge = isLoaded ? element('span', { class: 'badge loaded', textContent: 'loaded' })
    : status === 'unknown' ? null
    : element('span', { class: `badge ${status}`, textContent: status, title: model.compatibility_notes || '' });
  const primary = isLoaded
    ? element('button', { type: 'button', textContent: 'Unload', onclick: () => unload() })
    : element('button', { type: 'button', textContent: 'Load', onclick: () => load(model) });
  primary.setAttribute('aria-label', `${primary.textContent} ${model.model_name}`);
  const remove = element('button', {
    type: 'button', class: 'quiet', textContent: 'Delete', disabled: isLoaded, onclick: () => removeModel(model),
    'aria-label': `Delete ${model.model_name}`,
  });
  const uses = `${count(model.total_loads, 'load')}, ${count(model.total_inferences, 'generation')}`;
  return element('li', { class: isLoaded ? 'model is-loaded' : 'model' },
    element('div', { class: 'heading' }, element('strong', { textContent: model.model_name }), badge),
    element('div', { class: 'path', textContent: model.hf_path }),
    element('div', { class: 'hint', textContent: modelFacts(model) }),
    element('div', { class: 'hint', textContent: `${model.cache_location}: ${model.cache_path || ''} · ${uses}` }),
    element('div', { class: 'row actions' }, primary, remove));
}

async function refreshModels() {
  const models = await api.models();
  $('models').replaceChildren(...models.map(modelCard));
  $('no-models').hidden = models.length > 0;
}

/** Runs one action on the models, says what happened, and shows the new state whatever that was. */
async function act(doing, action) {
  const message = $('models-message');
  message.classList.remove('bad');
  show(message, doing);
  setTimeout(refreshStatus, 200);
  try {
    const answer = await action();
    show(message, [answer.message, answer.warning, answer.error].filter(Boolean).join('. '));
  } catch (error) {
    message.classList.add('bad');
    show(message, error.message);
  }
  await refreshStatus();
  await refreshModels().catch(() => {});
}

async function load(model) {
  const risky = ['incompatible', 'testing'].includes(model.compatibility_status);
  if (risky) {
    const sure = await confirmDialog(`Load ${model.model_name} anyway?`,
      model.compatibility_notes || 'An earlier attempt did not end well.', 'Load anyway');
    if (!sure) return;
  }
  await act(`Loading ${model.model_name}…`, () => api.load(model.model_name, risky));
}

const unload = () => act('Unloading…', () => api.unload());

async function removeModel(model) {
  const answer = await confirmDialog(`Delete ${model.model_name}?`,
    'The registration goes. Its files stay unless you say so here; files that another model uses always stay.',
    'Delete', 'Delete the files as well');
  if (answer) await act('Deleting…', () => api.remove(model.model_name, answer.checked));
}

/** Resolves to null or {checked}. */
function confirmDialog(title, text, yes, option) {
  $('confirm-title').textContent = title;
  $('confirm-text').textContent = text;
  $('confirm-yes').textContent = yes;
  $('confirm-option').hidden = !option;
  $('confirm-label').textContent = option || '';
  $('confirm-check').checked = false;
  const dialog = $('confirm');
  dialog.returnValue = '';
  return new Promise((resolve) => {
    dialog.onclose = () =>
      resolve(dialog.returnValue === 'yes' ? { checked: $('confirm-check').checked } : null);
    dialog.showModal();
  });
}

// --- registration ----------------------------------------------------------------------------------------------

function setUpRegistration() {
  const dialog = $('register');
  const isCustom = () => $('register-location').value === 'custom';
  const showFolder = () => {
    $('register-custom').hidden = !isCustom();
    $('register-folder').required = isCustom();
  };
  $('open-register').onclick = () => {
    $('register-form').reset();
    showFolder();
    show($('register-error'), '');
    dialog.showModal();
  };
  $('register-cancel').onclick = () => dialog.close();
  $('register-location').onchange = showFolder;
  $('register-form').onsubmit = async (event) => {
    event.preventDefault();
    try {
      const model = await api.register({
        model_name: $('register-name').value,
        hf_path: $('register-path').value,
        cache_location: $('register-location').value,
        cache_path: isCustom() ? $('register-folder').value : null,
        estimated_size_mb: Number($('register-size').value) || null,
      });
      dialog.close();
      $('models-message').classList.remove('bad');
      show($('models-message'), `Registered ${model.model_name}. Load it to download its files.`);
      await refreshModels();
    } catch (error) {
      show($('register-error'), error.message);
    }
  };
}

// --- generation ------------------------------------------------------------------------------------------------

function showStats(done) {
  $('stat-input').textContent = counted(done.input_tokens, 'token');
  $('stat-output').textContent = counted(done.output_tokens, 'token');
  $('stat-time').textContent = `${Math.round(done.inference_time_ms)} ms`;
  $('stat-ttft').textContent = done.ttft_ms === null ? 'N/A' : `${Math.round(done.ttft_ms)} ms`;
  $('stat-speed').textContent = `${done.tokens_per_second.toFixed(2)} tok/s`;
  $('stats').hidden = false;
}

function setRunning(controller) {
  running = controller;
  $('generate').disabled = Boolean(controller);
  $('generate').textContent = controller ? 'Generating…' : 'Generate';
  $('stop').disabled = !controller;
  $('answer').setAttribute('aria-busy', String(Boolean(controller)));
}

function onGenerationEvent(event) {
  const answer = $('answer');
  if (event.type === 'token') {
    const atEnd = answer.scrollHeight - answer.scrollTop - answer.clientHeight < 40;
    answer.append(event.text);
    if (atEnd) answer.scrollTop = answer.scrollHeight;
  } else if (event.type === 'done') {
    showStats(event);
  } else if (event.type === 'error') {
    show($('answer-error'), event.error);
  }
}

async function startGeneration(event) {
  event.preventDefault();
  if (running) return;
  const prompt = $('prompt').value;
  $('answer').replaceChildren(element('span', { class: 'prompt-echo', textContent: prompt }));
  show($('answer-error'), '');
  $('stats').hidden = true;
  setRunning(new AbortController());
  try {
    await generate({
      prompt,
      max_tokens: Number($('max-tokens').value),
      temperature: Number($('temperature').value),
      top_p: Number($('top-p').value),
      do_sample: $('sampling').checked,
    }, running.signal, onGenerationEvent);
  } catch (error) {
    show($('answer-error'), error.name === 'AbortError' ? 'Stopped.' : error.message);
  }
  setRunning(null);
  await refreshModels().catch(() => {});
}

function setUpGeneration() {
  $('generate-form').onsubmit = startGeneration;
  $('stop').onclick = () => running && running.abort();
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && running) running.abort();
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey) && event.target === $('prompt')) {
      event.preventDefault();
      $('generate-form').requestSubmit();
    }
  });
}

// --- cache -----------------------------------------------------------------------------------------------------

async function showCache() {
  const config = await api.cacheConfig();
  const fact = (name, value) => element('div', {}, element('dt', { textContent: name }), element('dd', { textContent: value }));
  $('cache').replaceChildren(
    fact('Primary', config.primary_path), fact('Limit', `${config.primary_limit_gb} GB`),
    fact('Secondary', config.secondary_path), fact('Limit', `${config.secondary_limit_gb} GB`));
}

setUpRegistration();
setUpGeneration();
refreshStatus();
refreshModels().catch((error) => show($('models-message'), error.message));
showCache().catch(() => {});
