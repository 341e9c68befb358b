// Walks through the page as a user would, by keyboard where that matters, and takes pictures.
//
//   node page_check.mjs URL MODEL [PICTURE_PREFIX]      a running server without models; a Hub id or path it can load
//
// Needs Chromium (CHROMIUM, default /usr/bin/chromium) and `npm install` here. Exits 1 when something is not as it must be.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { chromium } from 'playwright-core';

const [url, model, pictures] = process.argv.slice(2);
const kName = '<img src=x onerror=alert(1)>';
const kFlags = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'];

const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'page-check-'));
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium', headless: true, args: kFlags,
  viewport: { width: 1280, height: 800 }, colorScheme: 'light',
});
const page = browser.pages()[0];
const problems = [];
page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
page.on('pageerror', (error) => problems.push(String(error)));
page.on('dialog', (dialog) => problems.push(`dialog: ${dialog.message()}`) && dialog.dismiss());
const picture = (name, options) => pictures && page.screenshot({ path: `${pictures}-${name}.png`, ...options });

try {
  await page.goto(url);
  await page.waitForSelector('#no-models:not([hidden])');
  await picture('empty');

  await page.focus('#open-register');
  await page.keyboard.press('Enter');
  await page.fill('#register-name', kName);
  await page.fill('#register-path', model);
  await picture('register');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#models li');
  assert.equal(await page.textContent('#models strong'), kName);
  assert.equal(await page.locator('main img').count(), 0, 'a name became markup');

  await page.focus('#models button');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.badge.loaded', { timeout: 120_000 });
  assert.equal(await page.textContent('#status-text'), kName);

  await page.fill('#prompt', 'The capital of France is');
  await page.fill('#max-tokens', '40');
  await page.focus('#prompt');
  await page.keyboard.press('Control+Enter');
  await page.waitForSelector('#stats:not([hidden])', { timeout: 120_000 });
  assert.ok((await page.textContent('#answer')).startsWith('The capital of France is'));
  assert.match(await page.textContent('#stat-speed'), /^\d+\.\d\d tok\/s$/);
  await picture('answer');
  await page.emulateMedia({ colorScheme: 'dark' });
  await picture('dark');
  await page.setViewportSize({ width: 420, height: 900 });
  await picture('narrow', { fullPage: true });
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), true, 'it scrolls sideways');

  await page.getByRole('button', { name: 'Unload' }).click();
  await page.waitForFunction(() => document.querySelector('#status-text').textContent === 'No model loaded');
  await page.getByRole('button', { name: 'Delete' }).click();
  await page.click('#confirm-yes');
  await page.waitForSelector('#no-models:not([hidden])');

  await page.goto(`${url}/docs`);
  await picture('docs');
  assert.deepEqual(problems, []);
  console.log('the page works');
} finally {
  await browser.close();
  fs.rmSync(profile, { recursive: true, force: true });
}
