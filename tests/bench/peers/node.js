// Node peer: answers from its loop; /noop reads a small file on libuv's threads (UV_THREADPOOL_SIZE).
'use strict';
const fs = require('fs');
const http = require('http');
const path = require('path');

const files = process.env.FILES;
const head = { 'Content-Type': 'text/plain', 'Content-Length': 12 };

function hello(res) {
    res.writeHead(200, head);
    res.end('Hello World!');
}

function spin() {
    const began = process.cpuUsage();
    for (;;) {
        const used = process.cpuUsage(began);
        if (used.user + used.system >= 1000) return;
    }
}

function sendFile(res) {
    const name = path.join(files, 'file16k');
    fs.stat(name, (error, stat) => {
        if (error) throw error;
        res.writeHead(200, { 'Content-Type': 'application/octet-stream', 'Content-Length': stat.size });
        fs.createReadStream(name).pipe(res);
    });
}

const routes = {
    '/hello': hello,
    '/noop': (res) => fs.stat(path.join(files, 'file12'), () => hello(res)),
    '/spin': (res) => { spin(); hello(res); },
    '/file16k': sendFile,
};

const server = http.createServer((req, res) => routes[req.url](res));
server.keepAliveTimeout = 600000;
server.listen({ port: Number(process.env.PORT), host: '127.0.0.1', backlog: 4096 });
