mainTables();
for (const figure of document.querySelectorAll("figure[data-live]")) chart(figure);
examples();
