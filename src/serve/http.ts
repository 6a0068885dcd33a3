/**
 * Metrics, health and peers over HTTP: three pages, read only.
 *
 * Whoever asks costs little: at most so many connections, one request each, a small header, no body, a few seconds.
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type Address, listenOn } from '../nbd/listener.ts';
import { PROMETHEUS_CONTENT_TYPE } from '../zcache/index.ts';
import type { PeersHealth, PeersPage } from './peers.ts';

const CONNECTIONS_MAX = 32;
const HEADER_BYTES_MAX = 8 * 1024;
const REQUEST_MAX_MS = 5000;
/** How often Node.js looks for requests that take too long. */
const LOOK_MS = 1000;

export interface Health {
  readonly status: 'ok' | 'draining' | 'failed';
  readonly exports: number;
  readonly connections: number;
  /** On a node of a cluster: only to know of, the daemon serves without them. */
  readonly peers?: PeersHealth | undefined;
}

export interface Pages {
  /** Prometheus text. */
  metrics(): string;
  health(): Health;
  /** Undefined: this is no node of a cluster. */
  peers(): Promise<PeersPage | undefined>;
}

type Page = 'metrics' | 'health' | 'peers';

const PATHS: ReadonlyMap<string | undefined, Page> = new Map([
  ['/metrics', 'metrics'],
  ['/healthz', 'health'],
  ['/peers', 'peers'],
]);

export class HttpServer {
  readonly #server: Server;
  readonly #pages: Pages;

  constructor(pages: Pages) {
    this.#pages = pages;
    this.#server = createServer(
      {
        maxHeaderSize: HEADER_BYTES_MAX,
        requestTimeout: REQUEST_MAX_MS,
        headersTimeout: REQUEST_MAX_MS,
        connectionsCheckingInterval: LOOK_MS,
        keepAlive: false,
      },
      (request, response) => void this.#answer(request, response),
    );
    this.#server.maxConnections = CONNECTIONS_MAX;
    this.#server.maxRequestsPerSocket = 1;
    // Also one that does not read its answer.
    this.#server.setTimeout(REQUEST_MAX_MS);
  }

  /** @throws the error of node:net, such as EADDRINUSE or EACCES */
  listen(address: Address): Promise<Address> {
    return listenOn(this.#server, address);
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [path] = (request.url ?? '').split('?');
    const page = PATHS.get(path);
    if (page === undefined) {
      const known = [...PATHS.keys()].join(', ');
      send(request, response, 404, 'text/plain', `not found; there are ${known}\n`);
      return;
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('Allow', 'GET, HEAD');
      send(request, response, 405, 'text/plain', 'only GET and HEAD\n');
      return;
    }
    try {
      await this.#show(page, request, response);
    } catch (error) {
      send(request, response, 503, 'text/plain', `${(error as Error).message}\n`);
    }
  }

  async #show(page: Page, request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (page === 'metrics') {
      send(request, response, 200, PROMETHEUS_CONTENT_TYPE, this.#pages.metrics());
      return;
    }
    if (page === 'health') {
      const health = this.#pages.health();
      sendJson(request, response, health.status === 'ok' ? 200 : 503, health);
      return;
    }
    const peers = await this.#pages.peers();
    if (peers === undefined) send(request, response, 404, 'text/plain', 'this is no node of a cluster\n');
    else sendJson(request, response, 200, peers);
  }
}

function sendJson(request: IncomingMessage, response: ServerResponse, status: number, value: object): void {
  send(request, response, status, 'application/json', `${JSON.stringify(value)}\n`);
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  contentType: string,
  text: string,
): void {
  response.writeHead(status, {
    'Content-Type': contentType,
    'Content-Length': Buffer.byteLength(text),
    'Cache-Control': 'no-store',
    Connection: 'close',
  });
  response.end(request.method === 'HEAD' ? undefined : text);
}
